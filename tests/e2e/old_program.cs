// An old program: one WebClient with a NetworkCredential for both steps, as if Echo asked for a
// login too. Writes the sound to FILE.
// old_program.exe QUESTION USER PASSWORD FILE
using System.Net;

static class OldProgram
{
    static void Main(string[] args)
    {
        using (var client = new WebClient())
        {
            client.Credentials = new NetworkCredential(args[1], args[2]);
            client.DownloadFile(client.DownloadString(args[0]), args[3]);
        }
    }
}
