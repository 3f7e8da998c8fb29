// What a job is doing, in words that a screen reader may say without tiring anyone.
const STAGES = {
  queued: "Waiting for a worker.", load: "Opening the scene.", regression: "Rendering the fast views.",
  plan: "Deciding what to refine.", waiting: "Waiting behind more urgent jobs.",
  encode: "Preparing the refinement.", decode: "Making pictures of the last frames.", write: "Writing the results.",
  done: "Done.",
};
const REASONS = {
  "worker-lost": "Its process ended unexpectedly; the job runs again.",
  "server-restarted": "The server was restarted; the job runs again.",
  "server-stopping": "The server is stopping; the job runs again when it is back.",
};

export function statusText(name, data) {
  if (name === "status") {
    if (data.reason) return REASONS[data.reason] ?? "The job runs again.";
    return data.status === "queued" ? STAGES.queued : "Running.";
  }
  if (data.stage === "denoise") return `Refining: step ${data.step} of ${data.total}.`;
  return STAGES[data.stage] ?? data.stage;
}
