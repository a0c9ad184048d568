// Keys, the list, rows that come in, and signing in again without losing the page.

import { call, doing, isOpen, play, sides } from "/static/player.js";

const rows = () => [...document.querySelectorAll("tr[data-call]")];
const singleKeys = () => document.body.dataset.keys === "on";

function select(row) {
  for (const other of document.querySelectorAll("tr.selected")) other.classList.remove("selected");
  if (!row) return;
  row.classList.add("selected");
  row.scrollIntoView({ block: "nearest" });
  row.querySelector("td.started a, a")?.focus({ preventScroll: true });
}
const selected = () => document.querySelector("tr.selected");
function step(by) {
  const all = rows();
  const at = all.indexOf(selected());
  select(all[Math.max(0, Math.min(all.length - 1, at + by))]);
}
function playRow(row) {
  const button = row?.querySelector("[data-play]");
  if (button) play(button.dataset.play, button.dataset.audio);
}
function playNext(by) {
  const all = rows();
  let at = all.findIndex((row) => row.dataset.call === call());
  do { at += by; } while (all[at] && !all[at].querySelector("[data-play]"));
  if (all[at]) { select(all[at]); playRow(all[at]); }
}

const keys = {
  "/": () => document.getElementById("q")?.focus(),
  j: () => step(1), k: () => step(-1), p: () => playRow(selected()),
  n: () => playNext(1), b: () => playNext(-1),
  " ": () => doing.toggle(), "<": () => doing.slower(), ">": () => doing.faster(),
  ArrowLeft: (event) => doing.back(event), ArrowRight: (event) => doing.forward(event),
  1: () => sides("0"), 2: () => sides("1"), 3: () => sides("2"),
  s: () => doing.silence(), m: () => doing.note(),
  "[": () => doing["loop-from"](), "]": () => doing["loop-to"](), "\\": () => doing["loop-off"](),
  "+": () => doing["zoom-in"](), "-": () => doing["zoom-out"](),
  "?": () => document.getElementById("keys")?.showModal(),
};
const OF_PLAYER = new Set([" ", "<", ">", "ArrowLeft", "ArrowRight", "1", "2", "3", "s", "m", "[", "]", "\\", "+", "-"]);

// A period is either named or given by its ends: whichever is chosen later, the other goes.
document.addEventListener("change", (event) => {
  const field = event.target;
  const named = { since: true, period: true }[field.name];
  if (!field.form || !field.value || !(named || field.name === "from" || field.name === "to")) return;
  for (const name of named ? ["from", "to"] : ["since"]) {
    const other = field.form.elements.namedItem(name);
    if (other && other.type !== "hidden") other.value = "";
  }
}, true);

// From the search field into what it found, also where that has not come yet.
let into = false;
const search = document.getElementById("q");
search?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" && event.key !== "ArrowDown") return;
  event.preventDefault();
  select(rows()[0]);
  into = true;
});
search?.addEventListener("input", () => { into = false; });
document.addEventListener("htmx:after:swap", () => {
  if (into && document.activeElement?.closest("tr, body")) select(rows()[0]);
  into = false;
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.closest("input:not([type=range]), textarea, select, dialog")) return;
  const onControl = event.target.closest("button, a, summary, input[type=range]");
  if (event.key === " " && onControl && !onControl.matches("input[type=range]")) return;
  if (event.key.startsWith("Arrow") && event.target.matches("input[type=range]")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!keys[key] || (!singleKeys() && event.key.length === 1 && event.key !== " ")) return;
  if (OF_PLAYER.has(key) && !isOpen()) return;
  event.preventDefault();
  keys[key](event);
});

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-open]");
  if (opener) document.getElementById(opener.dataset.open).showModal();
  for (const menu of document.querySelectorAll("details.menu[open], details.more[open]")) if (!menu.contains(event.target)) menu.open = false;
});

// htmx begins as soon as it is there, and the script that lets a list live may come a moment later:
// then the list was passed over. Timers run in their order, so this looks after htmx did.
setTimeout(() => {
  const list = document.getElementById("rows");
  if (list?.matches("[hx-sse\\:connect]:not([data-htmx-powered])")) htmx.process(list);
});

// Rows that come in: those that are there already go, the row that is read does not move, and a
// screen reader is told twice a minute at most.
const MOST_ROWS = 300;
let came = 0;
let toldAt = 0;
let scroll = null;
let missed = false;
const isLive = () => document.getElementById("live")?.checked ?? true;
document.addEventListener("htmx:sse:before:message", (event) => {
  if (!isLive()) {
    missed = true;
    event.preventDefault();
    return;
  }
  scroll = document.querySelector(".scroll");
  if (scroll) scroll.dataset.height = String(scroll.scrollHeight);
  const fresh = event.detail.message?.data?.match(/<tr id="([^"]+)"/g) ?? [];
  for (const each of fresh) document.getElementById(each.slice(8, -1))?.remove();
  came += fresh.length;
});
document.addEventListener("htmx:sse:after:message", (event) => {
  if (event.detail.message?.event) return;
  const list = document.getElementById("rows");
  if (list && !list.matches("tbody")) { document.getElementById("filters")?.requestSubmit(); return; }
  while (rows().length > MOST_ROWS) rows().at(-1).remove();
  if (scroll && scroll.scrollTop > 0) scroll.scrollTop += scroll.scrollHeight - Number(scroll.dataset.height);
  if (came && performance.now() - toldAt > 30_000) {
    document.getElementById("status").textContent = `+${came}`;
    toldAt = performance.now();
    came = 0;
  }
});

// What came while the list stood still is not told again: the list is asked for anew.
document.addEventListener("change", (event) => {
  if (event.target.id !== "live" || !isLive() || !missed) return;
  missed = false;
  document.getElementById("filters")?.requestSubmit();
});

// Calls in progress: the server tells what changes, and their clocks tick here.
document.addEventListener("ongoing", (event) => {
  const list = document.getElementById("ongoing");
  const around = list?.closest(".scroll");
  const height = list?.offsetHeight;
  if (list) list.innerHTML = event.detail.data;
  if (around?.scrollTop > 0) around.scrollTop += list.offsetHeight - height;
  const hasCalls = Boolean(event.detail.data.trim()) || rows().length > 0;
  if (hasCalls !== Boolean(list)) document.getElementById("filters")?.requestSubmit();
});
const begun = new WeakMap();
setInterval(() => {
  if (!isLive()) return;
  for (const each of document.querySelectorAll("[data-s]")) {
    // In the middle of a second, so that a tick which is early or late shows neither one twice nor none.
    if (!begun.has(each)) begun.set(each, performance.now() - 1000 * (Number(each.dataset.s) + 0.5));
    const seconds = Math.floor((performance.now() - begun.get(each)) / 1000);
    const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    if (!parts[0]) parts.shift();
    each.textContent = parts.map((part, place) => (place ? String(part).padStart(2, "0") : part)).join(":");
  }
}, 1000);

document.addEventListener("htmx:sse:error", (event) => {
  if (event.detail?.status === 401) document.dispatchEvent(new CustomEvent("signed-out"));
});

// The session ended: what is on the page stays, and a dialog asks to sign in again.
const dialog = document.getElementById("signed-out");
document.addEventListener("signed-out", () => { if (dialog && !dialog.open) dialog.showModal(); });
dialog?.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/login", {
    method: "POST", body: new URLSearchParams(new FormData(event.target)),
    headers: { "HX-Request-Type": "partial" },
  });
  if (answer.status === 204) {
    const fresh = await (await fetch(location.href)).text();
    const page = new DOMParser().parseFromString(fresh, "text/html");
    const name = "#signed-out input[name=username]";
    // Somebody else must not keep the page of whoever was here before.
    if (page.querySelector(name)?.defaultValue !== document.querySelector(name).defaultValue) { location.assign("/calls"); return; }
    const token = page.querySelector("meta[name=csrf]").content;
    document.querySelector("meta[name=csrf]").content = token;
    for (const field of document.querySelectorAll("input[name=csrf]")) field.value = token;
    event.target.reset();
    dialog.close();
  } else {
    event.target.querySelector(".error").hidden = false;
  }
});
