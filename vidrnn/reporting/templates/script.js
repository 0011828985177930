"use strict";
const parse = (id) => JSON.parse(document.getElementById(id)?.textContent || "null");
const filmstrips = parse("filmstrips") || [];

const element = (name, text = "", kind = "") => {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (kind) made.className = kind;
  return made;
};

const fill = (image) => {
  const source = filmstrips[image.dataset.strip];
  if (source) image.src = source;
  else image.replaceWith(element("p", "Left out, so that this page stays small.", "no-strip"));
};
document.querySelectorAll("img[data-strip]").forEach(fill);

const line = (...parts) => {
  const made = element("p");
  parts.filter(Boolean).forEach((part) => made.append(part, " "));
  return made;
};

const card = ([path, truth, predicted, isRight, score, note, strip, width, room, when, problem], height) => {
  const figure = element("figure", "", "clip");
  if (strip >= 0) {
    const image = Object.assign(element("img"), { width, height, alt: `Pictures of ${path}` });
    image.dataset.strip = strip;
    image.style.width = `${room}%`;
    figure.append(image);
    fill(image);
  } else if (problem) figure.append(element("p", problem, "no-strip"));
  const caption = element("figcaption");
  const where = element("p", "", "path");
  where.append(element("bdi", path));
  caption.append(where);
  const value = score && element("span", score, "score");
  if (isRight) caption.append(line(truth && element("span", "right", "right"), element("bdi", predicted), value));
  else {
    caption.append(line(element("span", "true", "key"), element("bdi", truth)));
    caption.append(line(element("span", "said", "key wrong"), element("bdi", predicted), value));
  }
  const rest = [when, note].filter(Boolean).join(" · ");
  if (rest) caption.append(element("p", rest, "small"));
  figure.append(caption);
  return figure;
};

const matrix = parse("cells");
const panel = document.getElementById("cell");
const buttons = [...document.querySelectorAll(".matrix button")];

const open = (place) => {
  const { n, clips } = matrix.cells[place];
  const [row, column] = place.split("-").map(Number);
  buttons.forEach((button) => button.setAttribute("aria-pressed", button.dataset.cell === place));
  const heading = element("h3");
  heading.append(element("bdi", matrix.rows[row]), matrix.columns.length > 1 ? " → " : ": ", element("bdi", matrix.columns[column]));
  const list = element("div", "", "clips");
  list.append(...clips.map((clip) => card(clip, matrix.height)));
  const hidden = n - clips.length;
  panel.replaceChildren(heading, list);
  if (hidden > 0) panel.append(element("p", `${hidden} more are in predictions.csv.`, "small"));
};

/* One tab stop for the whole matrix: arrow keys go to the next cell in their direction that holds something. */
const focusable = (chosen) => buttons.forEach((button) => { button.tabIndex = button === chosen ? 0 : -1; });
const neighbour = (button, key) => {
  const [row, column] = button.dataset.cell.split("-").map(Number);
  const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[key];
  if (!steps) return null;
  const far = buttons
    .map((other) => [other, ...other.dataset.cell.split("-").map(Number)])
    .map(([other, r, c]) => [other, (r - row) * steps[0] + (c - column) * steps[1], Math.abs((r - row) * steps[1]) + Math.abs((c - column) * steps[0])])
    .filter(([, ahead]) => ahead > 0)
    .sort((a, b) => a[2] * 100 + a[1] - (b[2] * 100 + b[1]));
  return far.length ? far[0][0] : null;
};
if (buttons.length) {
  focusable(buttons[0]);
  document.querySelectorAll("[data-cell]").forEach((button) => button.addEventListener("click", () => {
    open(button.dataset.cell);
    if (panel.getBoundingClientRect().top > innerHeight - 150) panel.scrollIntoView({ block: "center" });
    const cell = buttons.find((other) => other.dataset.cell === button.dataset.cell);
    if (cell) focusable(cell);
  }));
  document.querySelector(".matrix").addEventListener("keydown", (event) => {
    const next = event.target.dataset.cell && neighbour(event.target, event.key);
    if (!next) return;
    event.preventDefault();
    focusable(next);
    next.focus();
  });
  const first = document.querySelector(".pairs button") || buttons[0];
  open(first.dataset.cell);
}

/* Timelines: what stands under the pointer, or at the place that the arrow keys reach. */
document.querySelectorAll(".raster").forEach((raster) => {
  const total = Number(raster.dataset.total);
  const reading = raster.querySelector(".reading");
  const rects = [...raster.querySelectorAll("rect")].map((rect) => ({
    start: Number(rect.getAttribute("x")), width: Number(rect.getAttribute("width")),
    side: rect.parentNode.dataset.side, name: rect.firstChild.textContent,
  }));
  const edges = [...new Set(rects.map((rect) => rect.start))].sort((a, b) => a - b);
  const hasTruth = raster.querySelector('g[data-side="true"]') !== null;
  let step = -1;
  const read = () => {
    const at = (side) => rects.filter((rect) => rect.side === side && rect.start <= step && step < rect.start + rect.width)
      .map((rect) => rect.name).join(", ") || "nothing";
    const seconds = Number(raster.dataset.seconds);
    const when = seconds ? `${(step * seconds).toFixed(1)} s` : `step ${step}`;
    reading.textContent = hasTruth ? `${when}: true ${at("true")}, said ${at("said")}` : `${when}: ${at("said")}`;
  };
  raster.querySelector("svg").addEventListener("pointermove", (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    step = Math.min(Math.max(Math.floor((event.clientX - box.left) / box.width * total), 0), total - 1);
    read();
  });
  raster.addEventListener("keydown", (event) => {
    const ahead = { ArrowRight: edges.find((edge) => edge > step), ArrowLeft: edges.findLast((edge) => edge < step) }[event.key];
    if (ahead === undefined) return;
    event.preventDefault();
    step = ahead;
    read();
  });
});
