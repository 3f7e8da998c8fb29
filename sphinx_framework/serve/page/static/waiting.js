// While a job waits: its place in the queue, asked for every few seconds.
import { getJson } from "./api.js";
import { seconds } from "./dom.js";
import { say } from "./say.js";

const EVERY = 3000;

/** Tell the place of a job as long as it is queued; ends with `signal`. */
export async function tellPlace(id, signal, isQueued) {
  while (!signal.aborted && isQueued()) {
    try {
      const { queue } = await getJson(`/v1/jobs/${id}`, { signal });
      if (queue && isQueued()) {
        const ahead = queue.position === 0 ? "next" : `${queue.position} ahead`;
        say(`Waiting for a worker: ${ahead}, about ${seconds(queue.predicted_wait_seconds)}.`, true);
      }
    } catch {
      // the event stream tells of a server that is away
    }
    await new Promise((resolve) => setTimeout(resolve, EVERY));
  }
}
