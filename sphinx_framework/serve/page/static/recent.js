// The list of recent jobs: open one, or forget it.
import { ask, getJson } from "./api.js";
import { $, element, percent } from "./dom.js";
import { showProblem } from "./problems.js";

const WORDS = { queued: "waiting", running: "running", succeeded: "done", failed: "failed", canceled: "canceled" };

/** Read the newest jobs and list them; `opened` is the one on the page. Returns them. */
export async function listRecent(opened) {
  const { data } = await getJson("/v1/jobs?limit=12");
  const rows = data.map((job) => row(job, job.id === opened));
  if (!rows.length) rows.push(element("li", { class: "soft", text: "None yet." }));
  $("recent").replaceChildren(...rows);
  return data;
}

function row(job, current) {
  const when = new Date(job.created_at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const { mode, quality } = job.request;
  const what = `${job.scene.inputs} photos, ${job.scene.targets} views, ${mode}${["regression", "diffusion"].includes(mode) ? "" : ` at ${percent(quality)}`}`;
  const final = !["queued", "running"].includes(job.status);
  return element("li", {},
    element("a", { href: `#${job.id}`, "aria-current": current ? "true" : null, text: `${when} ${job.scene.name}` }),
    element("span", { class: job.status, text: WORDS[job.status] }),
    element("span", { class: "soft", text: what }),
    final ? element("button", {
      type: "button", class: "small", text: "Forget", "aria-label": `Forget the job of ${when} and its files`,
      onclick: () => forget(job, current),
    }) : null);
}

async function forget(job, current) {
  try {
    await ask(`/v1/jobs/${job.id}`, { method: "DELETE" });
    if (current) location.hash = "";
    await listRecent("");
  } catch (error) {
    showProblem(error);
  }
}
