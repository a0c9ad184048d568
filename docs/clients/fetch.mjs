// node fetch.mjs DATASOURCE RECORDINGID VOICELOCATION FILE
// The extension of FILE chooses the format. Needs Node 20.
import { createWriteStream } from "node:fs";
import { rename } from "node:fs/promises";
import { extname } from "node:path";
import { pipeline } from "node:stream/promises";

const [datasource, recordingid, voicelocation, file] = process.argv.slice(2);
const { CALLREEL_URL, CALLREEL_USER, CALLREEL_PASSWORD } = process.env;

// The server says in one line what is wrong.
async function good(answer) {
  if (!answer.ok) {
    console.error(await answer.text());
    process.exit(1);
  }
  return answer;
}

const names = { cmd: "getvmsg", datasource, recordingid, voicelocation };
const query = Object.entries(names)
  .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
  .join("&");
const login = Buffer.from(`${CALLREEL_USER}:${CALLREEL_PASSWORD}`).toString("base64");
const question = await good(
  await fetch(`${CALLREEL_URL}/voice${extname(file)}?${query}`, {
    headers: { authorization: `Basic ${login}` },
    redirect: "error",
  }),
);

// The answer is an address that is good for a minute and needs no login.
const sound = await good(await fetch(await question.text(), { redirect: "error" }));
await pipeline(sound.body, createWriteStream(`${file}.part`));
await rename(`${file}.part`, file);
