// The page: a clip, its classes, the list, and the keys that work on them.

import { askClip, askFile, record } from "./ask.js";
import { CLASS_KEYS, listen } from "./keys.js";
import { describe, List } from "./list.js";
import { measure } from "./measure.js";
import { Player } from "./player.js";
import { get, post } from "./server.js";
import { strips } from "./strips.js";
import { Timeline } from "./timeline.js";
import { aside, say, work } from "./work.js";

const part = (id) => document.getElementById(id);
const player = new Player(part("video"), part("screen-text"));
const timeline = new Timeline(part("timeline"), player, (segments) => work(() => keepSegments(segments)));
const list = new List(part, showClip);
let classes = [];
let asSegments = false; // what is said of clips is from when to when
let tried = null; // the file on the screen, where it is none of the list

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
  if (asSegments && !list.left) editSegments(segments ?? []);
  else timeline.show(segments);
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
    if (place < CLASS_KEYS.length) button.append(Object.assign(document.createElement("kbd"), { textContent: CLASS_KEYS[place] }));
    button.addEventListener("click", () => sayClass(name));
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
  if (about.has_segments && list.total === 0) {
    asSegments = true;
    part("as-segments").setAttribute("aria-pressed", "true");
  }
  part("measure").hidden = !about.can_measure;
  part("predicted").parentElement.hidden = !about.has_answers;
  for (const option of part("show").options) {
    if (["wrong", "uncertain"].includes(option.value)) option.hidden = option.disabled = !about.has_answers;
  }
  showClasses();
}

function showProgress({ total, labelled, changed, labels }) {
  const number = (count) => count.toLocaleString("en");
  part("progress").textContent = `${number(total)} ${total === 1 ? "clip" : "clips"}, ${number(labelled)} with a label, ${number(changed)} said here`;
  part("progress").title = `Kept in ${labels}`;
}

function sayClass(name) {
  if (!asSegments) return work(() => label(name));
  if (timeline.editable) timeline.say(name);
}

async function label(name) {
  const { row, at } = list;
  if (!row || list.left) return;
  list.update(await post(`clips/${row.id}/label`, { label: name }));
  showProgress(await get("about"));
  if (name && at + 1 < list.total) await list.choose(at + 1);
  else showSaid(list.row);
}

// Frames have to be known first: a segment begins and ends with one.
async function editSegments(segments) {
  const { row } = list;
  timeline.show(segments);
  await aside(() => player.readFrames());
  if (list.row?.id === row.id && !list.left && player.times) timeline.show(segments, { editable: true });
}

async function keepSegments(segments) {
  const { row } = list;
  try {
    list.update(await post(`clips/${row.id}/segments`, { segments }));
    showSaid(list.row);
  } catch (error) {
    await showClip(row); // as it was before
    throw error;
  }
  showProgress(await get("about"));
}

async function changeKind() {
  asSegments = !asSegments;
  part("as-segments").setAttribute("aria-pressed", String(asSegments));
  if (list.row && !list.left) await showClip(list.row);
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
  if (list.row?.id === clip.id) await showClip(clip);
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

// While segments are edited these come before the others.
const SEGMENT_ACTIONS = {
  ",": () => timeline.startHere(),
  ".": () => timeline.endHere(),
  "-": () => timeline.split(),
  Backspace: () => timeline.remove(),
  Delete: () => timeline.remove(),
  Escape: () => timeline.select(null),
  Enter: () => work(() => keepSegments(timeline.segments)),
};

const ACTIONS = {
  ArrowDown: () => work(() => list.choose(list.at + 1)),
  ArrowUp: () => work(() => list.choose(list.at - 1)),
  ArrowRight: () => work(() => player.step(1)),
  ArrowLeft: () => work(() => player.step(-1)),
  Backspace: () => work(() => label("")),
  Enter: () => work(() => list.row?.predicted && label(list.row.predicted)),
  m: () => aside(ask),
  s: () => work(changeKind),
  u: () => work(undo),
  " ": () => player.toggle(),
  "/": () => part("text").focus(),
  "+": () => part("class-name").focus(),
  "?": toggleHelp,
};

listen((key) => {
  const place = CLASS_KEYS.indexOf(key);
  const named = place >= 0 && place < classes.length ? () => sayClass(classes[place]) : null;
  return (timeline.editable && SEGMENT_ACTIONS[key]) || (ACTIONS[key] ?? named);
});

part("new-class").addEventListener("submit", (event) => {
  event.preventDefault();
  work(addClass);
});
part("export").addEventListener("submit", (event) => {
  event.preventDefault();
  work(takeAway);
});
part("measure").addEventListener("submit", (event) => {
  event.preventDefault();
  aside(() => measure(part));
});
part("undo").addEventListener("click", () => work(undo));
part("as-segments").addEventListener("click", () => work(changeKind));
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
