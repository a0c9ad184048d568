// fetch.exe DATASOURCE RECORDINGID VOICELOCATION FILE [together]
// The extension of FILE chooses the format. With "together" the query is sent the way old
// programs send it, with nothing between its parts.
using System;
using System.IO;
using System.Net;

static class Fetch
{
    static int Main(string[] args)
    {
        if (args.Length < 4)
        {
            Console.Error.WriteLine("usage: fetch DATASOURCE RECORDINGID VOICELOCATION FILE [together]");
            return 2;
        }
        string between = args.Length > 4 ? "" : "&";
        string question = Environment.GetEnvironmentVariable("CALLREEL_URL")
            + "/voice" + Path.GetExtension(args[3])
            + "?cmd=getvmsg&datasource=" + Uri.EscapeDataString(args[0])
            + between + "recordingid=" + Uri.EscapeDataString(args[1])
            + between + "voicelocation=" + Uri.EscapeDataString(args[2])
            + between + "salt=" + DateTime.Now.Ticks;
        try
        {
            string address;
            using (var web = new WebClient())
            {
                web.Credentials = new NetworkCredential(
                    Environment.GetEnvironmentVariable("CALLREEL_USER"),
                    Environment.GetEnvironmentVariable("CALLREEL_PASSWORD"));
                address = web.DownloadString(question);
            }
            // The address is good for a minute and needs no login, so it is given none.
            using (var echo = new WebClient())
                echo.DownloadFile(address, args[3]);
            return 0;
        }
        catch (WebException error)
        {
            Console.Error.WriteLine(Reason(error));
            return 1;
        }
    }

    // The server says in one line what is wrong.
    static string Reason(WebException error)
    {
        if (error.Response == null)
            return error.Message;
        using (var reader = new StreamReader(error.Response.GetResponseStream()))
            return reader.ReadToEnd();
    }
}
