// Questions to the model: about a clip of the list, a file that is dropped, or what the camera sees.

import { answer, get, post, Refused } from "./server.js";

const AGAIN_MS = 300;
const LONGEST_MS = 60_000; // of a recording

async function answered(word) {
  for (;;) {
    const { answer: found } = await get(`asked/${word}`);
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

export const askClip = async (id) => answered((await post(`clips/${id}/ask`)).word);

export async function askFile(file) {
  const address = `uploads?${new URLSearchParams({ name: file.name })}`;
  return answered((await answer(fetch(address, { method: "POST", body: file }))).word);
}

// Begins to record; what it gives stops that, and then there is a file.
export async function record() {
  if (!navigator.mediaDevices) throw new Refused("This browser gives no camera.");
  const stream = await navigator.mediaDevices.getUserMedia({ video: true }).catch((error) => {
    throw new Refused(`The camera cannot be used: ${error.message}`);
  });
  const recorder = new MediaRecorder(stream);
  const parts = [];
  recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
  const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve, { once: true }));
  const stop = () => recorder.state === "inactive" || recorder.stop();
  setTimeout(stop, LONGEST_MS);
  recorder.start();
  const file = stopped.then(() => {
    stream.getTracks().forEach((track) => track.stop());
    const suffix = recorder.mimeType.includes("mp4") ? "mp4" : "webm";
    return new File(parts, `recording.${suffix}`, { type: recorder.mimeType });
  });
  return { stop, file, stream };
}
