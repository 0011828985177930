// Filmstrips of clips, few at a time: a browser has six connections to a server, and the video needs one at once.

const AT_ONCE = 2;

class Strips {
  #waiting = [];
  #running = 0;
  #observer = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      if (isIntersecting) {
        this.#observer.unobserve(target);
        this.load(target, target.dataset.strip);
      }
    }
  }, { rootMargin: "200px" });

  // When the image comes into sight.
  watch(image, id) {
    image.dataset.strip = id;
    this.#observer.observe(image);
    return image;
  }

  load(image, id) {
    this.#waiting.push([image, id]);
    this.#next();
  }

  #next() {
    while (this.#running < AT_ONCE && this.#waiting.length) {
      const [image, id] = this.#waiting.shift();
      if (!image.isConnected) continue; // of a page that was left
      this.#running += 1;
      const done = () => {
        this.#running -= 1;
        this.#next();
      };
      image.addEventListener("load", done, { once: true });
      image.addEventListener("error", done, { once: true });
      image.src = `clips/${id}/strip`;
    }
  }
}

export const strips = new Strips();
