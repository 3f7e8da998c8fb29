// A job's events over one connection or many: resumed after the last id, with growing pauses.
import { ask, Problem } from "./api.js";

const LONGEST_PAUSE = 15000;

/** Yield every event once, in order, until `done`. `lost(seconds)` and `found()` tell of breaks. */
export async function* follow(job, { signal, lost, found }) {
  let last = 0;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const headers = { "Last-Event-ID": String(last) };
      const answer = await ask(`/v1/jobs/${job}/events`, { headers, signal, cache: "no-store" });
      if (failures) found();
      failures = 0;
      for await (const event of parse(answer.body, signal)) {
        last = event.id;
        yield event;
        if (event.name === "done") return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (isLasting(error)) throw error;
    }
    const pause = pauseAfter(failures);
    failures += 1;
    if (failures > 1) lost(pause / 1000);
    await sleep(pause, signal);
  }
}

const pauseAfter = (failures) => Math.min(LONGEST_PAUSE, 500 * 2 ** failures);

/** Whether asking again would be answered alike. */
const isLasting = (error) =>
  error instanceof Problem && error.status >= 400 && error.status < 500 && error.status !== 429;

/** What `work` answers, asked again with growing pauses while the server is away; undefined when stopped. */
export async function insisted(work, signal) {
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Problem) || isLasting(error)) throw error;
      await sleep(pauseAfter(failures), signal);
    }
  }
  return undefined;
}

async function* parse(body, signal) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    while (!signal.aborted) {
      const piece = await reader.read();
      if (piece.done) return;
      text += piece.value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const fields = {};
        for (const line of block.split("\n")) {
          const colon = line.indexOf(":");
          if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
        }
        if (fields.data) yield { id: Number(fields.id), name: fields.event, data: JSON.parse(fields.data) };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Wait, or less when the signal comes or the network returns. */
function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      removeEventListener("online", wake);
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const timer = setTimeout(wake, milliseconds);
    addEventListener("online", wake);
    signal.addEventListener("abort", wake);
  });
}
