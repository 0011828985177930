// The paged list of clips: what is asked for, the rows that are shown, and which of them is the present one.

import { get } from "./server.js";
import { strips } from "./strips.js";

const PAGE = 50;
const element = (name, attributes = {}, ...inside) => {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...inside);
  return made;
};

const hide = ({ target }) => target.removeAttribute("src"); // the place stays

// "sit", or "sit, predicted stand" where the two differ.
export function describe(row) {
  const parts = [];
  if (row.num_segments !== null) parts.push(element("b", { textContent: `${row.num_segments} segments` }));
  else if (row.num_predicted !== null) parts.push(`${row.num_predicted} segments predicted`);
  else if (row.label) parts.push(element("b", { textContent: row.label }));
  else parts.push("no label");
  if (row.predicted && row.predicted !== row.label) {
    parts.push(", predicted ", element("span", { className: row.label ? "wrong" : "", textContent: row.predicted }));
  }
  if (row.changed) parts.push(" · said here");
  return parts;
}

export class List {
  constructor(part, onChoose) {
    this.part = part;
    this.onChoose = onChoose;
    this.rows = [];
    this.first = 0;
    this.total = 0;
    this.at = 0; // in the whole list
    this.left = false;
    part("back").addEventListener("click", () => this.choose(Math.max(0, this.first - PAGE)));
    part("forth").addEventListener("click", () => this.choose(this.first + PAGE));
    for (const name of ["show", "label", "predicted"]) part(name).addEventListener("change", () => this.restart());
    let waiting;
    part("text").addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.restart(), 200);
    });
    part("filter").addEventListener("submit", (event) => event.preventDefault());
  }

  get wanted() {
    return Object.fromEntries(["show", "text", "label", "predicted"].map((name) => [name, this.part(name).value]));
  }

  // Something else is on the screen; the place in the list stays.
  leave() {
    this.left = true;
    this.#mark();
  }

  get row() { return this.rows[this.at - this.first] ?? null; }

  // From the beginning, with a list that is made anew.
  async restart() {
    await this.#load(0, true);
    await this.#chosen(0);
  }

  async choose(place, { focus = false } = {}) {
    const wanted = Math.max(0, Math.min(place, this.total - 1));
    const first = wanted - (wanted % PAGE);
    if (first !== this.first) await this.#load(first, false);
    await this.#chosen(wanted);
    const button = this.part("rows").children[this.at - this.first]?.firstChild;
    if (focus) button?.focus();
    if (matchMedia("(min-width: 60rem)").matches) button?.scrollIntoView({ block: "nearest" });
  }

  // A clip by its number, in this list or in that of all clips.
  async chooseClip(id) {
    const { place } = await get(`clips/${id}/place`, this.wanted);
    if (place !== null) await this.choose(place);
  }

  update(row) {
    const place = this.rows.findIndex(({ id }) => id === row.id);
    if (place < 0) return;
    this.rows[place] = row;
    this.part("rows").children[place].replaceWith(this.#item(row, this.first + place));
    this.#mark();
  }

  async #load(first, anew) {
    const page = await get("clips", { ...this.wanted, first, count: PAGE, anew: anew ? 1 : 0 });
    Object.assign(this, { rows: page.rows, first: page.first, total: page.total });
    this.part("rows").replaceChildren(...page.rows.map((row, place) => this.#item(row, first + place)));
    this.part("empty").hidden = page.total > 0;
    const last = Math.min(first + PAGE, page.total);
    this.part("where").textContent = page.total ? `${first + 1} to ${last} of ${page.total.toLocaleString("en")}` : "";
    this.part("back").disabled = first === 0;
    this.part("forth").disabled = last >= page.total;
  }

  async #chosen(place) {
    this.at = place;
    this.left = false;
    this.#mark();
    await this.onChoose(this.row);
  }

  #item(row, place) {
    const button = element(
      "button",
      { type: "button", onclick: () => this.choose(place) },
      strips.watch(element("img", { alt: "", onerror: hide }), row.id),
      element("span", { className: "path", textContent: row.name }),
      element("span", { className: "label" }, ...describe(row)),
      element("span", { className: "score", textContent: row.score === null ? "" : row.score.toFixed(2) }),
    );
    return element("li", {}, button);
  }

  #mark() {
    [...this.part("rows").children].forEach((item, place) => {
      item.firstChild.setAttribute("aria-current", String(!this.left && this.first + place === this.at));
    });
  }
}
