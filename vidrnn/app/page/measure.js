// What the labels of the page do to the number that cross-validation finds.

import { get, post, Refused } from "./server.js";

const AGAIN_MS = 500;
const made = (name, text) => Object.assign(document.createElement(name), { textContent: text });

function row(what, value, interval) {
  const line = document.createElement("tr");
  const number = value.toFixed(3) + (interval ? ` (${interval.map((bound) => bound.toFixed(2)).join(" to ")})` : "");
  line.append(made("th", what), made("td", number));
  return line;
}

function table({ before, same_answers: same, after, changed }) {
  const labels = changed === 1 ? "1 label" : `${changed} labels`;
  const rows = [];
  if (before) rows.push(row("accuracy before", before.top1, before.interval));
  if (before && changed) rows.push(row(`the same answers, after ${labels} changed`, same));
  rows.push(row(before ? "trained again" : "accuracy", after.top1, after.interval));
  for (const [name, value] of Object.entries(after.baselines)) rows.push(row(`· ${name.replaceAll("_", " ")}`, value));
  const all = document.createElement("table");
  all.append(...rows);
  return all;
}

// Shows how far it is until there are figures.
async function follow(part) {
  let state = await get("crossval");
  while (state.running) {
    part("measured").textContent = `It trains, since ${Math.round(state.since_s)} s.`;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    state = await get("crossval");
  }
  part("measured").textContent = "";
  if (state.error) throw new Refused(state.error);
  if (!state.figures) return;
  part("measured").textContent = `${state.figures.n} clips, one seed. ${state.figures.protocol}`;
  part("figures").replaceChildren(table(state.figures));
}

export async function measure(part) {
  const button = part("measure").querySelector("button");
  button.disabled = true;
  try {
    await post("crossval", { baselines: part("baselines").checked });
    await follow(part);
  } finally {
    button.disabled = false;
    if (part("measured").textContent.startsWith("It trains")) part("measured").textContent = "";
  }
}
