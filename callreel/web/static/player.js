// The player: one <audio>, a range slider as seek bar, and a waveform that the server drew.
//
// What is wanted (playing or not, and where) is kept here and never read from the element: browsers
// disagree on what it says after an error. Every piece of sound is authorised by the server.

const sound = document.getElementById("sound");
const dock = document.getElementById("dock");
const HEARD_EVERY = 10_000;
const SILENT_AFTER = 4_000;
const TRIES = [250, 500, 1000, 2000, 4000];

export const want = { playing: false, at: 0 };
let now = null; // {call, base, audio, revision, sitting}; base is what all its addresses begin with
let root = null; // the element of the player
let heard = []; // stretches since they were last told
let here = null; // the stretch that grows
let loop = { from: null, to: null };
let skipping = false;
let graph = null;
let failures = 0;
let moved = 0;
let pixel = -1;
let zoom = 1;
let over = false; // refused for good
const leased = () => now.base.startsWith("/lease/");

const clock = (seconds) => {
  const whole = Math.floor(seconds);
  const two = (n) => String(n).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}:${two(whole % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
};
const part = (selector) => root?.querySelector(selector);
const duration = () => Number(root?.dataset.duration ?? 0);
const remembered = (name, usual) => { try { return localStorage.getItem(name) ?? usual; } catch { return usual; } };
const remember = (name, value) => { try { localStorage.setItem(name, value); } catch { /* private windows forget */ } };
const sitting = () => "p" + Array.from(crypto.getRandomValues(new Uint8Array(12)), (n) => n.toString(16).padStart(2, "0")).join("");
const csrf = () => document.querySelector("meta[name=csrf]").content;

// Sound first, picture second: the click itself begins the sound, and htmx brings the waveform.
export function play(call, audio, at = 0) {
  tell(true);
  now = { call, base: `/calls/${call}`, audio, revision: Number(audio.split("/").pop()), sitting: sitting() };
  want.playing = true;
  want.at = at;
  heard = []; here = null; loop = { from: null, to: null }; failures = 0; pixel = -1; root = null; zoom = 1;
  load();
  for (const row of document.querySelectorAll("tr.playing")) row.classList.remove("playing");
  document.querySelector(`tr[data-call="${CSS.escape(call)}"]`)?.classList.add("playing");
  htmx.ajax("GET", `${now.base}/dock`, { target: "#dock", swap: "innerHTML" });
}

function load() {
  sound.src = `${now.audio}?sitting=${now.sitting}`;
  sound.preservesPitch = true;
  sound.playbackRate = Number(remembered("speed", "1"));
  sound.defaultPlaybackRate = sound.playbackRate;
  const at = want.at;
  if (at > 0) sound.addEventListener("loadedmetadata", () => { sound.currentTime = at; }, { once: true });
  moved = performance.now();
  if (want.playing) sound.play().catch(() => { /* the error event says why */ });
}

export function bind(element) {
  root = element;
  if (!now) now = { call: root.dataset.call, base: root.dataset.base, audio: root.dataset.audio, revision: Number(root.dataset.revision), sitting: sitting() };
  // A mask may have come between the list and the dock: then its sound is another.
  if (root.dataset.audio !== now.audio) {
    now.audio = root.dataset.audio;
    now.revision = Number(root.dataset.revision);
    load();
  }
  for (const pin of root.querySelectorAll(".pin")) pin.style.insetInlineStart = `${pin.dataset.at}%`;
  const speed = part("[data-speed]");
  speed.value = remembered("speed", "1");
  if (!speed.value) speed.value = "1";
  skipping = remembered("silence", "off") === "on";
  part("[data-do=silence]").setAttribute("aria-pressed", String(skipping));
  part(".seek").addEventListener("input", (event) => seek(Number(event.target.value)));
  pixel = -1;
  draw(true);
  shown();
}

export function toggle() {
  if (!now) return;
  want.playing = !want.playing;
  if (want.playing) {
    if (!sound.src) load(); else sound.play().catch(() => {});
  } else {
    sound.pause();
    tell();
  }
  shown();
}

export function seek(seconds) {
  if (!now) return;
  want.at = Math.max(0, Math.min(seconds, duration() || seconds));
  closeStretch();
  if (sound.src) sound.currentTime = want.at; else load();
  moved = performance.now();
  draw(true);
}

function shown() {
  root?.classList.toggle("playing", want.playing);
  const button = part(".play-pause");
  if (button) button.setAttribute("aria-label", want.playing ? button.dataset.pauseName : button.dataset.playName);
}

// Drawn only when the head has moved a whole pixel: eight times a second in a call of three minutes.
function draw(force = false) {
  if (!root) return;
  const length = duration();
  const at = Math.min(want.at, length);
  const width = part(".canvas").clientWidth || 1;
  const x = Math.round((at / (length || 1)) * width);
  if (!force && x === pixel) return;
  pixel = x;
  const share = `${length ? (100 * at) / length : 0}%`;
  part("#heard rect")?.setAttribute("width", share);
  const head = part(".canvas .head");
  head?.setAttribute("x1", share);
  head?.setAttribute("x2", share);
  const slider = part(".seek");
  slider.value = String(at);
  slider.setAttribute("aria-valuetext", clock(at));
  part("[data-time]").textContent = clock(at);
}

function goOn() {
  if (!want.playing || sound.paused || sound.seeking || sound.readyState <= 1 || !now) return;
  want.at = sound.currentTime;
  listen(want.at);
  if (loop.to !== null && loop.from !== null && want.at >= loop.to) seek(loop.from);
  else if (skipping) skip(want.at);
  draw();
}

function frame() {
  goOn();
  requestAnimationFrame(frame);
}
requestAnimationFrame(frame);

function skip(at) {
  if (!root) return;
  for (const [from, to] of JSON.parse(root.dataset.silences || "[]")) {
    if (at > from + 0.4 && at < to - 0.3) { seek(to - 0.2); return; }
  }
}

function listen(at) {
  if (here && at >= here[1] && at - here[1] < 1.5 * sound.playbackRate) here[1] = at;
  else { closeStretch(); here = [at, at]; }
}

function closeStretch() {
  if (here && here[1] > here[0]) heard.push(here);
  here = null;
}

const rounded = (pairs) => pairs.map(([from, to]) => [Math.round(from * 100) / 100, Math.round(to * 100) / 100]);

// Tells what was heard, and learns whether it may go on. Resolves to the status; 0 without a server.
async function tell(last = false) {
  if (!now) return 0;
  if (here && here[1] > here[0]) { heard.push([...here]); here = [here[1], here[1]]; }
  const told = heard.splice(0, 150);
  const teller = now;
  // Of another call by now it would be told as that one's.
  const again = () => { if (now === teller) heard.unshift(...told); };
  if (!told.length && last) return 0;
  const body = JSON.stringify({ sitting: now.sitting, revision: now.revision, heard: rounded(told), speed: sound.playbackRate });
  try {
    const answer = await fetch(`${now.base}/heard`, {
      method: "POST", body, keepalive: last,
      headers: { "Content-Type": "application/json", "X-Csrf-Token": csrf(), "HX-Request-Type": "partial" },
    });
    if (answer.status >= 500) again();
    return answer.status;
  } catch {
    again();
    return 0;
  }
}

async function mayGoOn() {
  const call = now?.call;
  const status = await tell();
  if (now?.call !== call) return status;
  if (status === 401) { stop(); document.dispatchEvent(new CustomEvent("signed-out")); }
  else if (status === 410) renew();
  else if (status === 403 || status === 404 || status === 409 || status === 422) { over = true; stop(); say(root?.dataset.gone); }
  return status;
}

// The masks are others: the server draws the player anew, and the sound goes on where it was.
function renew() {
  sound.removeAttribute("src");
  sound.load();
  if (dock) htmx.ajax("GET", `${now.base}/dock`, { target: "#dock", swap: "innerHTML" });
  else location.reload();
}

export function stop() {
  want.playing = false;
  sound.pause();
  sound.removeAttribute("src");
  sound.load();
  shown();
}

function say(words) {
  const told = part("[data-told]");
  if (told) told.textContent = words ?? "";
}

setInterval(() => { if (now && sound.src && (want.playing || heard.length)) mayGoOn(); }, HEARD_EVERY);
// A link's lease ends where nothing is asked for: its player asks before it was ever played, too.
setInterval(() => { if (now && !want.playing && (sound.src || (leased() && !over))) mayGoOn(); }, 2 * HEARD_EVERY);
// Some browsers say nothing after a refused piece: the head stands still though it should move.
setInterval(() => {
  if (want.playing && now && sound.src && performance.now() - moved > SILENT_AFTER && !sound.seeking) recover();
}, 1000);

// A hidden window draws no frames, and is heard all the same.
sound?.addEventListener("timeupdate", () => { moved = performance.now(); failures = 0; goOn(); });
sound?.addEventListener("playing", () => { failures = 0; say(""); shown(); });
sound?.addEventListener("error", () => { if (sound.getAttribute("src")) recover(); });
sound?.addEventListener("ended", () => { want.playing = false; want.at = duration(); closeStretch(); draw(true); shown(); tell(); });
sound?.addEventListener("pause", () => { if (!sound.ended && sound.readyState > 1 && !sound.error && want.playing && !document.hidden && !sound.seeking) { want.playing = false; shown(); } });

let recovering = false;
async function recover() {
  if (recovering || !now) return;
  recovering = true;
  const call = now.call;
  try {
    while (failures < TRIES.length && now?.call === call && want.playing) {
      await new Promise((done) => setTimeout(done, TRIES[failures]));
      failures += 1;
      const status = await mayGoOn();
      if (status === 204) { load(); return; }
      if (status !== 0 && status < 500 && status !== 429) return;
      say(root?.dataset.trying);
    }
    if (failures >= TRIES.length) { failures = 0; setTimeout(() => { recovering = false; if (want.playing && now?.call === call) recover(); }, 4000); return; }
  } finally {
    recovering = false;
    moved = performance.now();
  }
}

document.addEventListener("signed-out", () => { if (now) stop(); });
addEventListener("pagehide", () => { closeStretch(); tell(true); });

// One side alone: the graph is made when it is first wanted; the plain element is faster.
function side(which) {
  if (!graph && which === "0") return;
  if (!graph) {
    const context = new AudioContext();
    const source = context.createMediaElementSource(sound);
    const split = context.createChannelSplitter(2);
    const gains = [context.createGain(), context.createGain()];
    const merge = context.createChannelMerger(2);
    source.connect(split);
    gains.forEach((gain, number) => { split.connect(gain, number); gain.connect(merge, 0, 0); gain.connect(merge, 0, 1); });
    merge.connect(context.destination);
    graph = { context, gains };
  }
  graph.context.resume();
  graph.gains[0].gain.value = which === "2" ? 0 : 1;
  graph.gains[1].gain.value = which === "1" ? 0 : 1;
  const names = root?.querySelectorAll(".lane-names span") ?? [];
  names.forEach((name, number) => name.toggleAttribute("data-off", (which === "1" && number === 1) || (which === "2" && number === 0)));
  root?.classList.toggle("muted", which !== "0");
}

function speed(step) {
  const chooser = part("[data-speed]");
  if (!chooser) return;
  chooser.selectedIndex = Math.max(0, Math.min(chooser.options.length - 1, chooser.selectedIndex + step));
  chooser.dispatchEvent(new Event("change", { bubbles: true }));
}

function zoomTo(factor) {
  if (!root) return;
  zoom = Math.max(1, Math.min(64, factor));
  const strip = part(".zoomed");
  strip.hidden = zoom === 1;
  if (zoom === 1) { strip.replaceChildren(); return; }
  const width = duration() / zoom;
  const from = Math.max(0, Math.min(want.at - width / 2, duration() - width));
  htmx.ajax("GET", `${now.base}/wave?from=${from.toFixed(2)}&to=${(from + width).toFixed(2)}`, { target: strip, swap: "innerHTML" });
}

function note() {
  if (!part("[data-do=note]")) return;
  if (want.playing) toggle();
  const at = want.at.toFixed(2);
  for (const field of document.querySelectorAll("[data-note-at]")) field.value = at;
  for (const words of document.querySelectorAll("[data-note-time]")) words.textContent = clock(want.at);
  const quick = part(".quick-note");
  if (quick) { quick.hidden = false; quick.elements.text.focus(); }
  else document.getElementById("note-text")?.focus();
}

export const doing = {
  toggle,
  back: (event) => seek(want.at - (event?.shiftKey ? 30 : 5)),
  forward: (event) => seek(want.at + (event?.shiftKey ? 30 : 5)),
  silence: () => {
    skipping = !skipping;
    remember("silence", skipping ? "on" : "off");
    part("[data-do=silence]")?.setAttribute("aria-pressed", String(skipping));
  },
  note,
  "no-note": () => { const quick = part(".quick-note"); quick.hidden = true; part("[data-do=note]").focus(); },
  "zoom-in": () => zoomTo(zoom * 2),
  "zoom-out": () => zoomTo(zoom / 2),
  slower: () => speed(-1),
  faster: () => speed(1),
  "loop-from": () => { loop.from = want.at; },
  "loop-to": () => { loop.to = want.at; },
  "loop-off": () => { loop = { from: null, to: null }; },
  close: () => { stop(); tell(true); now = null; root = null; dock?.replaceChildren(); for (const row of document.querySelectorAll("tr.playing")) row.classList.remove("playing"); },
  "copy-link": async (event) => {
    const button = event.target.closest("button");
    const at = want.at >= 1 ? `?t=${want.at.toFixed(1)}` : "";
    await navigator.clipboard?.writeText(location.origin + location.pathname + at);
    document.getElementById("status").textContent = button.dataset.done;
  },
};
export const sides = (which) => { const chooser = part("[data-sides]"); if (chooser) { chooser.value = which; side(which); } };
export const isOpen = () => now !== null;
export const call = () => now?.call;

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-play], [data-do], [data-seek]");
  if (!button || event.ctrlKey || event.metaKey) return;
  if (button.dataset.play) play(button.dataset.play, button.dataset.audio);
  else if (button.dataset.do) doing[button.dataset.do]?.(event);
  else if (now) { event.preventDefault(); seek(Number(button.dataset.seek)); }
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-speed]")) { sound.playbackRate = sound.defaultPlaybackRate = Number(event.target.value); remember("speed", event.target.value); }
  if (event.target.matches("[data-sides]")) side(event.target.value);
});
document.addEventListener("htmx:after:swap", () => {
  const fresh = document.querySelector("[data-player]");
  if (fresh && fresh !== root) bind(fresh);
  const piece = fresh?.querySelector(".canvas .piece");
  if (piece && root) { root.dataset.silences = piece.dataset.silences; draw(true); }
  const quick = part(".quick-note");
  if (quick && !quick.hidden && document.getElementById("noted")?.textContent.trim()) { quick.reset(); quick.hidden = true; document.getElementById("noted").replaceChildren(); part("[data-do=note]").focus(); }
});

const own = document.querySelector("[data-player]");
if (own && sound) {
  bind(own);
  if (sound.dataset.start) { want.at = Math.min(Number(sound.dataset.start), duration()); draw(true); }
}
