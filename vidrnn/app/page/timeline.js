// Segments of a video over its length: a lane for each class, and where the video is.

const made = (name, className, attributes = {}) =>
  Object.assign(document.createElement(name), { className, ...attributes });

export class Timeline {
  constructor(root, player) {
    this.root = root;
    this.player = player;
    this.segments = null;
    this.end = 0;
    player.video.addEventListener("loadedmetadata", () => this.draw());
    const move = () => {
      this.#place();
      requestAnimationFrame(move);
    };
    requestAnimationFrame(move);
  }

  // Rows of start, end, class and maybe score; null: there are none to show.
  show(segments) {
    this.segments = segments;
    this.draw();
  }

  draw() {
    const { video, zero } = this.player;
    this.root.hidden = this.segments === null;
    if (this.root.hidden) return;
    const last = Math.max(0, ...this.segments.map(([, end]) => end));
    this.end = Math.max(last, Number.isFinite(video.duration) ? video.duration + zero : 0) || 1;
    const names = [...new Set(this.segments.map(([, , name]) => name))];
    this.root.replaceChildren(...names.map((name) => this.#lane(name)));
    if (!names.length) this.root.append(made("p", "small", { textContent: "Nothing happens in it." }));
    this.#place();
  }

  #lane(name) {
    const lane = made("div", "lane");
    const track = made("div", "track");
    this.segments.forEach((segment, place) => {
      if (segment[2] === name) track.append(this.#segment(segment, place));
    });
    track.append(made("div", "playhead"));
    lane.append(made("span", "", { textContent: name, title: name }), track);
    return lane;
  }

  #segment([start, end, name, score]) {
    const words = `${name}, ${start.toFixed(2)} to ${end.toFixed(2)} s`;
    const button = made("button", "", { type: "button", title: score ? `${words}, ${score.toFixed(2)}` : words });
    button.setAttribute("aria-label", button.title);
    button.style.left = `${(100 * start) / this.end}%`;
    button.style.width = `${(100 * (end - start)) / this.end}%`;
    button.addEventListener("click", () => { this.player.seek(start); });
    return button;
  }

  #place() {
    if (this.root.hidden) return;
    const left = `${(100 * this.player.time) / this.end}%`;
    for (const head of this.root.getElementsByClassName("playhead")) head.style.left = left;
  }
}
