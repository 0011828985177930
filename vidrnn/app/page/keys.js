// Which key says which class, and when a key is meant for the page.

// Letters without those that have another meaning here.
export const CLASS_KEYS = "1234567890qwertyiopadfghjklzxcvbn";

// `find` gives what a key does, or nothing.
export function listen(find) {
  addEventListener("keydown", (event) => {
    const { key, target } = event;
    const typing = target.closest("input, select, textarea");
    if (typing) {
      if (key === "Escape") typing.blur();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isSegment = target.closest(".track button") !== null;
    const presses = key === "Enter" || (key === " " && !isSegment);
    if (presses && target.closest("button, a, video")) return; // the browser does it
    const action = find(key);
    if (!action) return;
    event.preventDefault();
    if (!event.repeat || key.startsWith("Arrow")) action();
  });
}
