// What comes after the last event: how it ended, downloads, reasons, notes, points for the 3-D view.
import { ask, getJson } from "./api.js";
import { $, element, seconds } from "./dom.js";
import { offerDownloads } from "./downloads.js";
import { LARGEST_PLY, readPly } from "./points.js";
import { showProblem } from "./problems.js";
import { progress, say } from "./say.js";

/** Say how a job ended. */
export function tellEnd(job) {
  const { status, error, plan } = job;
  progress(status === "succeeded" ? 1 : false);
  if (status === "succeeded") {
    const took = (new Date(job.finished_at) - new Date(job.started_at)) / 1000;
    const predicted = plan?.predicted_seconds == null ? "" : `, predicted ${seconds(plan.predicted_seconds)}`;
    say(`Done: ${job.scene.targets} views in ${seconds(took)}${predicted}.`);
  } else if (status === "canceled") say("Canceled.");
  else {
    say(`Failed: ${error.title}. ${error.detail}`);
    showProblem({ ...error, message: error.detail });
  }
}

/** Files, report and notes of a succeeded job; `current()` is false when another one was opened. */
export async function bringHome(view, space, current, explained) {
  const files = await offerDownloads(view);
  view.report = await getJson(files.find(({ name }) => name === "report.json").url);
  if (!current()) return;
  explained();
  tellNotes([...view.report.warnings, ...view.report.notes]);
  const file = files.find(({ name, bytes }) => name === "scene.ply" && bytes <= LARGEST_PLY);
  const points = file ? readPly(await (await ask(file.url)).arrayBuffer()) : null;
  if (!current() || !points) return;
  space.points = points;
  space.draw();
}

export function tellNotes(notes) {
  $("notes").hidden = !notes.length;
  $("notesTitle").textContent = `Notes of the engine (${notes.length})`;
  $("notesList").replaceChildren(...notes.map((text) => element("li", { text })));
}
