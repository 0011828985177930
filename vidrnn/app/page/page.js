// The page: a clip, its classes, the list, and the keys that work on them.

import { askClip, askFile, record } from "./ask.js";
import { describe, List } from "./list.js";
import { Player } from "./player.js";
import { get, post, Refused } from "./server.js";
import { strips } from "./strips.js";
import { Timeline } from "./timeline.js";

const part = (id) => document.getElementById(id);
// Letters without those that have another meaning here.
const KEYS = "1234567890qwertyiopasdfghjklzxcvbn";
const player = new Player(part("video"), part("screen-text"));
const timeline = new Timeline(part("timeline"), player);
const list = new List(part, showClip);
let classes = [];
let tried = null; // the file on the screen, where it is none of the list

function say(text) {
  part("message").textContent = text;
  part("message").hidden = !text;
}

// What the server refuses is shown.
async function aside(action) {
  try {
    say("");
    await action();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(error.message);
  }
}

// One thing after the other, so that no key is lost; what takes long goes aside.
let busy = Promise.resolve();
function work(action) {
  busy = busy.then(() => aside(action));
  return busy;
}

async function showClip(row) {
  tried = null;
  part("clip").hidden = row === null;
  if (row === null) return player.clear();
  part("name").textContent = row.name;
  showSaid(row);
  timeline.show(null);
  player.show(row.id);
  showStrip(row.id);
  const detail = await get(`clips/${row.id}`);
  if (list.row?.id === row.id) showAnswer(detail);
}

// Another image each time: one that is still loading must not come late.
function showStrip(id) {
  const strip = Object.assign(document.createElement("img"), { id: "strip", alt: "" });
  strip.addEventListener("error", () => strip.removeAttribute("src"));
  part("strip").replaceWith(strip);
  strips.load(strip, id);
}

function showSaid(row) {
  const known = describe(row);
  part("said").replaceChildren(...known);
  for (const button of part("classes").children) {
    button.setAttribute("aria-pressed", String(button.dataset.name === row.label));
  }
}

function showAnswer({ top_k, note, truth, label, segments }) {
  timeline.show(segments);
  const cells = top_k.flatMap(([name, score]) => {
    const bar = Object.assign(document.createElement("meter"), { value: score, title: `${name} ${score.toFixed(3)}` });
    const texts = [name, score.toFixed(2)].map((text) => Object.assign(document.createElement("span"), { textContent: text }));
    texts[1].className = "value";
    return [texts[0], bar, texts[1]];
  });
  part("scores").replaceChildren(...cells);
  const more = [note, truth && truth !== label ? `was ${truth} before` : ""].filter(Boolean);
  if (more.length) part("said").append(` · ${more.join(" · ")}`);
}

function showClasses() {
  const buttons = classes.map((name, place) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: `${name} ` });
    button.dataset.name = name;
    button.setAttribute("aria-pressed", "false");
    if (place < KEYS.length) button.append(Object.assign(document.createElement("kbd"), { textContent: KEYS[place] }));
    button.addEventListener("click", () => work(() => label(name)));
    return button;
  });
  part("classes").replaceChildren(...buttons);
  for (const id of ["label", "predicted"]) {
    const chosen = part(id).value;
    part(id).replaceChildren(new Option("any", ""), ...classes.map((name) => new Option(name, name)));
    part(id).value = chosen;
  }
  if (list.row) showSaid(list.row);
}

async function showAbout() {
  const about = await get("about");
  classes = about.classes;
  document.title = `${about.title} · vidrnn`;
  part("title").textContent = about.title;
  showProgress(about);
  part("notes").replaceChildren(
    ...about.notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })),
  );
  part("notes").hidden = !about.notes.length;
  if (!part("format").options.length) part("format").replaceChildren(...about.formats.map((name) => new Option(name)));
  for (const hidden of [part("ask"), part("drop"), ...document.querySelectorAll("#help .model")]) {
    hidden.hidden = !about.has_model;
  }
  part("predicted").parentElement.hidden = !about.has_answers;
  for (const option of part("show").options) {
    if (["wrong", "uncertain"].includes(option.value)) option.hidden = option.disabled = !about.has_answers;
  }
  showClasses();
}

function showProgress({ total, labelled, changed, labels }) {
  const number = (count) => count.toLocaleString("en");
  part("progress").textContent = `${number(total)} clips, ${number(labelled)} with a label, ${number(changed)} said here`;
  part("progress").title = `Kept in ${labels}`;
}

async function label(name) {
  const { row, at } = list;
  if (!row || list.left) return;
  list.update(await post(`clips/${row.id}/label`, { label: name }));
  showProgress(await get("about"));
  if (name && at + 1 < list.total) await list.choose(at + 1);
  else showSaid(list.row);
}

async function ask() {
  const { row } = list;
  if (!row || list.left || part("ask").hidden) return;
  part("said").append(" · the model is asked …");
  await askClip(row.id);
  const detail = await get(`clips/${row.id}`);
  list.update(detail);
  await showAbout();
  if (list.row?.id === row.id && !list.left) await showClip(detail);
}

// Of a file nothing is kept: it takes the place of the clip on the screen until another clip is chosen.
async function tryFile(file) {
  tried = file;
  part("clip").hidden = false;
  part("name").textContent = `${file.name} (not kept)`;
  part("strip").removeAttribute("src");
  part("scores").replaceChildren();
  for (const button of part("classes").children) button.setAttribute("aria-pressed", "false");
  part("said").textContent = "The model is asked …";
  timeline.show(null);
  list.leave();
  player.showLocal(file);
  try {
    const answer = await askFile(file);
    if (tried !== file) return; // something else is on the screen by now
    part("said").replaceChildren("predicted ", Object.assign(document.createElement("b"), { textContent: answer.predicted }));
    if (!answer.predicted) part("said").replaceChildren();
    showAnswer(answer);
  } catch (error) {
    part("said").textContent = "";
    throw error;
  }
}

let recording = null;
async function startOrStop() {
  if (recording) return recording.stop();
  recording = await record();
  part("record").setAttribute("aria-pressed", "true");
  part("record").textContent = "Stop";
  list.leave();
  player.showLocal(recording.stream);
  recording.file.then((file) => {
    recording = null;
    part("record").setAttribute("aria-pressed", "false");
    part("record").textContent = "Record";
    return aside(() => tryFile(file));
  });
}

async function undo() {
  const { clip } = await post("undo");
  showProgress(await get("about"));
  if (!clip) return say("There is nothing to undo.");
  if (clip.id === undefined) return say(`Taken back: what was said of ${clip.name}, which is not in this list.`);
  list.update(clip);
  await list.chooseClip(clip.id);
}

async function addClass() {
  const { name } = await post("classes", { name: part("class-name").value });
  part("class-name").value = "";
  await showAbout();
  part("class-name").blur();
  [...part("classes").children].find((button) => button.dataset.name === name)?.scrollIntoView({ block: "nearest" });
}

async function takeAway() {
  part("exported").textContent = "Writing …";
  try {
    const { href, name, notes } = await post("exports", { format: part("format").value });
    const link = Object.assign(document.createElement("a"), { href, download: name, textContent: name });
    part("exported").replaceChildren(link, notes.length ? ` (${notes.join("; ")})` : "");
    link.click();
  } catch (error) {
    part("exported").textContent = "";
    throw error;
  }
}

function toggleHelp() {
  part("help").hidden = !part("help").hidden;
  part("help-button").setAttribute("aria-expanded", String(!part("help").hidden));
}

const ACTIONS = {
  ArrowDown: () => work(() => list.choose(list.at + 1)),
  ArrowUp: () => work(() => list.choose(list.at - 1)),
  ArrowRight: () => work(() => player.step(1)),
  ArrowLeft: () => work(() => player.step(-1)),
  Backspace: () => work(() => label("")),
  Enter: () => work(() => list.row?.predicted && label(list.row.predicted)),
  m: () => aside(ask),
  u: () => work(undo),
  " ": () => player.toggle(),
  "/": () => part("text").focus(),
  "+": () => part("class-name").focus(),
  "?": toggleHelp,
};

addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  if (typing) {
    if (event.key === "Escape") typing.blur();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const pressed = event.target.closest("button, a, video");
  if (pressed && ["Enter", " "].includes(event.key)) return; // these press it
  const place = KEYS.indexOf(event.key);
  const action = ACTIONS[event.key] ?? (place >= 0 && place < classes.length && (() => work(() => label(classes[place]))));
  if (!action) return;
  event.preventDefault();
  if (!event.repeat || event.key.startsWith("Arrow")) action();
});

part("new-class").addEventListener("submit", (event) => {
  event.preventDefault();
  work(addClass);
});
part("export").addEventListener("submit", (event) => {
  event.preventDefault();
  work(takeAway);
});
part("undo").addEventListener("click", () => work(undo));
part("ask").addEventListener("click", () => aside(ask));
part("record").addEventListener("click", () => aside(startOrStop));
part("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  target.value = "";
  if (file) aside(() => tryFile(file));
});
for (const [kind, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
  addEventListener(kind, (event) => {
    if (part("drop").hidden || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    part("drop").classList.toggle("over", over);
    const [file] = event.dataTransfer.files;
    if (kind === "drop" && file) aside(() => tryFile(file));
  });
}
part("help-button").addEventListener("click", toggleHelp);

await work(async () => {
  await showAbout();
  await list.restart();
});
