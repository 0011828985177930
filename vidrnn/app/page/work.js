// What people start by hand, and what is said when the server refuses it.

import { Refused } from "./server.js";

export function say(text) {
  const message = document.getElementById("message");
  message.textContent = text;
  message.hidden = !text;
}

export async function aside(action) {
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
export function work(action) {
  busy = busy.then(() => aside(action));
  return busy;
}
