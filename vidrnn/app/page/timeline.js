// Segments of a video over its length, a lane for each class: to look at, and to move, split and name anew.
// Their edges always lie on the times of frames.

const EDGE_PX = 9;
const NEW_S = 1; // length of a new segment

const made = (name, className, attributes = {}) =>
  Object.assign(document.createElement(name), { className, ...attributes });

export class Timeline {
  constructor(root, player, onChange) {
    this.root = root;
    this.player = player;
    this.onChange = onChange;
    this.segments = null;
    this.editable = false;
    this.selected = null; // place in segments
    this.lanes = root.querySelector(".lanes");
    this.reading = root.querySelector(".reading");
    this.zoom = root.querySelector("input");
    this.zoom.addEventListener("input", () => this.#stretch());
    player.video.addEventListener("loadedmetadata", () => this.draw());
    const move = () => {
      this.#place();
      requestAnimationFrame(move);
    };
    requestAnimationFrame(move);
  }

  // Rows of start, end, class and maybe score; null: there are none to show.
  show(segments, { editable = false } = {}) {
    this.segments = segments?.map((segment) => [...segment]) ?? null;
    this.editable = editable;
    this.selected = null;
    this.draw();
  }

  get times() { return this.player.times; }

  draw() {
    this.root.hidden = this.segments === null;
    if (this.root.hidden) return;
    const { video, zero } = this.player;
    const last = Math.max(0, this.times?.at(-1) ?? 0, ...this.segments.map(([, end]) => end));
    this.end = Math.max(last, Number.isFinite(video.duration) ? video.duration + zero : 0) || 1;
    const names = [...new Set(this.segments.map(([, , name]) => name))];
    this.lanes.replaceChildren(...(names.length ? names : [""]).map((name) => this.#lane(name)));
    this.select(this.selected);
    this.#stretch();
  }

  // Names the selected segment, or begins a new one here.
  say(name) {
    if (this.selected !== null) {
      this.segments[this.selected][2] = name;
      return this.#changed(this.segments[this.selected]);
    }
    const frame = this.player.frame;
    const start = this.times[frame];
    const end = this.times.find((time) => time >= start + NEW_S) ?? this.times.at(-1);
    const segment = [start, end, name];
    this.segments.push(segment);
    return this.#changed(segment);
  }

  // The selected segment begins with the present frame.
  startHere() {
    const segment = this.segments[this.selected];
    const time = this.times[this.player.frame];
    if (segment && time < segment[1]) {
      segment[0] = time;
      this.#changed(segment);
    }
  }

  // It ends with the present frame, which still belongs to it.
  endHere() {
    const segment = this.segments[this.selected];
    const time = this.times[this.player.frame + 1];
    if (segment && time > segment[0]) {
      segment[1] = time;
      this.#changed(segment);
    }
  }

  // The present frame begins a segment of its own.
  split() {
    const time = this.times[this.player.frame];
    const inside = ([start, end]) => start < time && time < end;
    const place = this.selected ?? this.segments.findIndex(inside);
    const segment = this.segments[place];
    if (!segment || !inside(segment)) return;
    const rest = [time, segment[1], segment[2]];
    segment[1] = time;
    this.segments.push(rest);
    this.#changed(rest);
  }

  remove() {
    if (this.selected === null) return;
    this.segments.splice(this.selected, 1);
    this.#changed(null);
  }

  select(place) {
    this.selected = place;
    this.lanes.querySelectorAll("button").forEach((button) => {
      button.setAttribute("aria-pressed", String(Number(button.dataset.place) === place));
    });
  }

  #changed(segment) {
    for (const one of this.segments) one.length = 3; // what people say has no score
    this.segments.sort(([a], [b]) => a - b);
    this.draw();
    this.select(segment ? this.segments.indexOf(segment) : null);
    this.lanes.querySelector("[aria-pressed=true]")?.focus({ preventScroll: true });
    this.onChange(this.segments);
  }

  #lane(name) {
    const lane = made("div", "lane");
    const track = made("div", "track");
    track.addEventListener("pointerdown", (event) => {
      if (event.target !== track) return;
      this.select(null);
      this.player.seek(this.#time(event, track));
    });
    this.segments.forEach((segment, place) => {
      if (segment[2] === name) track.append(this.#segment(segment, place));
    });
    track.append(made("div", "playhead"));
    lane.append(made("span", "", { textContent: name, title: name }), track);
    return lane;
  }

  #segment(segment, place) {
    const button = made("button", "", { type: "button" });
    button.dataset.place = place;
    button.setAttribute("aria-pressed", "false");
    this.#describe(button, segment);
    button.addEventListener("focus", () => this.select(place));
    button.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.player.seek(segment[0]);
    });
    button.addEventListener("pointerdown", (event) => this.#drag(event, button, segment));
    return button;
  }

  #describe(button, [start, end, name, score]) {
    const words = `${name}, ${start.toFixed(3)} to ${end.toFixed(3)} s`;
    button.title = score ? `${words}, ${score.toFixed(2)}` : words;
    button.setAttribute("aria-label", button.title);
    button.style.left = `${(100 * start) / this.end}%`;
    button.style.width = `${(100 * (end - start)) / this.end}%`;
  }

  // At an edge it is the edge that moves, else the whole; a press without moving shows the first frame.
  #drag(event, button, segment) {
    const track = button.parentElement;
    const { left, right, width } = button.getBoundingClientRect();
    const edge = Math.min(EDGE_PX, width / 3);
    const moves = [event.clientX < right - edge, event.clientX > left + edge]; // start, end
    const [begun, before] = [this.#time(event, track), [...segment]];
    let moved = false;
    const onMove = (motion) => {
      if (!this.editable || !this.times) return;
      const by = this.#time(motion, track) - begun;
      if (!moved && Math.abs(motion.clientX - event.clientX) < 3) return;
      moved = true;
      const wanted = [0, 1].map((side) => (moves[side] ? this.#nearest(before[side] + by) : before[side]));
      if (wanted[0] >= wanted[1]) return;
      [segment[0], segment[1]] = wanted;
      this.#describe(button, segment);
      const shown = moves[0] ? this.times.indexOf(wanted[0]) : this.times.indexOf(wanted[1]) - 1;
      this.player.showFrame(shown);
    };
    const onUp = () => {
      removeEventListener("pointermove", onMove);
      removeEventListener("pointerup", onUp);
      removeEventListener("pointercancel", onUp);
      if (moved) this.#changed(segment);
      else this.player.seek(segment[0]);
    };
    addEventListener("pointermove", onMove);
    addEventListener("pointerup", onUp);
    addEventListener("pointercancel", onUp);
  }

  #time(event, track) {
    const { left, width } = track.getBoundingClientRect();
    return (Math.max(0, Math.min(1, (event.clientX - left) / width)) * this.end);
  }

  #nearest(time) {
    const next = this.times.findIndex((one) => one >= time);
    if (next <= 0) return this.times[next < 0 ? this.times.length - 1 : 0];
    const [before, after] = [this.times[next - 1], this.times[next]];
    return time - before < after - time ? before : after;
  }

  #stretch() {
    this.lanes.style.setProperty("--zoom", this.zoom.value);
    const [head] = this.lanes.getElementsByClassName("playhead");
    head?.scrollIntoView({ block: "nearest", inline: "center" });
  }

  #place() {
    if (this.root.hidden) return;
    const { time, frame } = this.player;
    for (const head of this.lanes.getElementsByClassName("playhead")) head.style.left = `${(100 * time) / this.end}%`;
    const text = frame === null ? `${time.toFixed(3)} s` : `${this.times[frame].toFixed(3)} s, frame ${frame} of ${this.times.length - 1}`;
    if (this.reading.textContent !== text) this.reading.textContent = text;
  }
}
