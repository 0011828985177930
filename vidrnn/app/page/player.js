// The video of one clip: asks until it can be played, tells its frames apart by their times.

import { get, Refused } from "./server.js";

const RETRY_MS = 400;

export class Player {
  constructor(video, text) {
    this.video = video;
    this.text = text;
    this.clip = null;
    this.zero = 0;
    this.times = null;
    video.addEventListener("error", () => this.#failed());
  }

  async show(id) {
    if (this.clip === id) return;
    this.clip = id;
    this.times = null;
    this.video.srcObject = null;
    this.video.removeAttribute("src");
    this.video.load();
    this.#say("");
    try {
      let found = await get(`clips/${id}/play`);
      while (!found.ready && this.clip === id) {
        const size = found.written ? `, ${(found.written / 1e6).toFixed(1)} MB so far` : "";
        this.#say(`No browser plays this file, so it is written anew: ${Math.round(found.since_s)} s${size}`);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        if (this.clip === id) found = await get(`clips/${id}/play`);
      }
      if (this.clip !== id) return;
      this.#say("");
      this.zero = found.zero_s;
      this.original = found.is_original;
      this.video.src = `clips/${id}/video`;
      this.video.play().catch(() => {});
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (this.clip === id) this.#say(error.message);
    }
  }

  // A file of this machine, or what the camera sees: the server is not asked.
  showLocal(source) {
    this.clip = null;
    this.times = null;
    this.zero = 0;
    this.#say("");
    if (this.local) URL.revokeObjectURL(this.local);
    this.local = null;
    this.video.srcObject = source instanceof MediaStream ? source : null;
    if (source instanceof Blob) this.video.src = this.local = URL.createObjectURL(source);
    this.video.play().catch(() => {});
  }

  clear() {
    this.clip = null;
    this.video.removeAttribute("src");
    this.video.load();
    this.#say("");
  }

  toggle() {
    if (this.video.paused) this.video.play().catch(() => {});
    else this.video.pause();
  }

  // Seconds as in the video itself.
  get time() { return this.video.currentTime + this.zero; }

  seek(time) { this.video.currentTime = Math.max(0, time - this.zero); }

  // The frame that is shown: a time is that of the latest frame that has begun.
  get frame() {
    if (!this.times) return null;
    let [low, high] = [0, this.times.length - 2];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.times[middle] <= this.time + 1e-6) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  async readFrames() {
    const id = this.clip;
    if (id === null) return null;
    if (!this.times) {
      const { times } = await get(`clips/${id}/frames`);
      if (this.clip === id) this.times = times;
    }
    return this.times;
  }

  // In the middle of a frame no rounding leads to its neighbour.
  showFrame(number) {
    const last = this.times.length - 2;
    const frame = Math.max(0, Math.min(number, last));
    this.video.pause();
    this.video.currentTime = Math.max(0, (this.times[frame] + this.times[frame + 1]) / 2 - this.zero);
    return frame;
  }

  async step(by) {
    this.video.pause();
    if (await this.readFrames()) this.showFrame(this.frame + by);
  }

  #failed() {
    if (!this.video.getAttribute("src")) return;
    this.#say(`The browser cannot play it: ${this.video.error?.message || "no cause is given"}`);
  }

  #say(text) {
    this.text.textContent = text;
    this.text.hidden = !text;
  }
}
