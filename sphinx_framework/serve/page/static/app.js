// The page: photos to a request, a request to a job, a job to pictures.
import { apiKey, freshKey, getJson, post, setApiKey } from "./api.js";
import { Cost } from "./cost.js";
import { $, seconds } from "./dom.js";
import { JobView } from "./job.js";
import { bringHome, tellEnd, tellNotes } from "./outcome.js";
import { PathPanel } from "./pathpanel.js";
import { banner, clearProblem, showProblem } from "./problems.js";
import { listRecent } from "./recent.js";
import { progress, say } from "./say.js";
import { Source } from "./source.js";
import { Space } from "./space.js";
import { Stage } from "./stage.js";
import { statusText } from "./status.js";
import { steer } from "./steer.js";
import { tellPlace } from "./waiting.js";
import { explain } from "./why.js";

const space = new Space($("space"));
const path = new PathPanel(space);
const cost = new Cost();
const source = new Source((scene, pictures) => {
  space.points = null;
  space.show(scene, pictures);
  path.show(scene, !source.photosAlone);
  cost.over(source.id);
});
let view = null;
const stage = new Stage((index) => {
  explain(view, index);
  if (source.id === view.job.scene.id && space.scene && space.path.length === view.count) {
    space.current = index;
    space.draw();
  }
});
steer(space, $("space"), { zoomIn: $("zoomIn"), zoomOut: $("zoomOut"), reset: $("resetView") });

async function describe() {
  const model = (await getJson("/v1/models")).data[0];
  await source.serve(model);
  $("model").textContent = `${model.id}, ${model.num_steps} denoising steps`;
  $("camerasToo").textContent = model.unposed ? "or without a" : "their";
  $("count").max = model.limits.max_targets;
  cost.serve(model);
}

async function recall() {
  cost.learn(await listRecent(view?.id));
}

async function submit() {
  clearProblem();
  $("go").disabled = true;
  try {
    const request = { mode: cost.mode, quality: cost.quality, seed: Number($("seed").value), ...path.request() };
    if ($("degrade").checked) request.degrade = true;
    say("Sending.");
    const { turn } = source;
    const job = await post("/v1/jobs", source.body(request), freshKey());
    history.replaceState(null, "", `#${job.id}`);
    open(job);
    view.turn = turn;
    $("result").scrollIntoView({ block: "start" });
  } catch (error) {
    say("Not sent.");
    showProblem(error);
  } finally {
    $("go").disabled = false;
  }
}

/** Follow a job, from its first event on. */
function open(job) {
  view?.stop();
  banner("");
  let queued = job.status === "queued";
  view = new JobView(job, {
    status: (name, data) => {
      $("cancel").disabled = view.job.cancel_requested;
      say(statusText(name, data), data.stage === "denoise" && data.step > 0);
      if (name === "status") {
        progress(null);
        const waits = data.status === "queued";
        if (waits && !queued) tellPlace(view.id, view.stopping.signal, () => queued);
        queued = waits;
      }
      if (data.stage === "denoise") progress(data.step / Math.max(1, data.total));
    },
    plan: () => {
      const { plan } = view;
      const less = plan.degraded ? " The server is busy: served with less quality." : "";
      $("plan").textContent = `${plan.frame_steps} of ${plan.frame_steps_dense} frame steps; predicted ${seconds(plan.predicted_seconds)}.${less}`;
      explain(view, stage.index);
      if (view.cameras && view.turn === source.turn) showEstimated();
      recall().catch(() => {});
    },
    frame: (index) => stage.update(index),
    done: () => finish().catch(showProblem),
    lost: (pause) => banner(`The server does not answer. Trying again every ${Math.ceil(pause)} s; nothing is lost.`),
    found: () => banner(""),
  });
  stage.open(view);
  $("links").replaceChildren();
  tellNotes([]);
  $("plan").textContent = "";
  progress(null);
  if (queued) tellPlace(view.id, view.stopping.signal, () => queued);
  view.run().catch((error) => {
    progress(false);
    say("This job cannot be followed.");
    showProblem(error);
  });
  recall().catch(() => {});
}

/** Cameras that a job estimated: to look at. Paths of the page's own need photos that bring some. */
function showEstimated() {
  source.adopt(view.job.scene, view.turn === source.turn);
  space.points = null;
  space.show(view.cameras, source.pictures);
  path.show(null, false);
  space.setPath(view.cameras.targets.map(({ pose }) => pose));
}

async function finish() {
  const mine = view;
  $("cancel").disabled = true;
  const job = await getJson(`/v1/jobs/${mine.id}`);
  if (mine !== view) return;
  view.update(job);
  tellEnd(job);
  if (source.id !== job.scene.id) {
    if (mine.cameras) showEstimated();
    else await source.open(job.scene.id, job.scene.name);
  }
  await recall();
  if (job.status === "succeeded") {
    await bringHome(mine, space, () => mine === view, () => explain(view, stage.index));
  }
}

/** Open the job that the address names, so that a reload, a bookmark or Back finds it again. */
async function openAddress() {
  const id = location.hash.slice(1);
  if (!/^job_[0-9a-z]{26}$/.test(id) || id === view?.id) return;
  try {
    open(await getJson(`/v1/jobs/${id}`));
    if (innerWidth < 960) $("result").scrollIntoView({ block: "start" });
  } catch (error) {
    say(error.status === 404 ? "That job is not there any more." : error.message);
  }
}

async function start() {
  try {
    await describe();
    await recall();
    banner("");
  } catch (error) {
    if (error.status === 401) {
      $("model").textContent = "This server asks for an API key: under Quality and cost, More.";
      return;
    }
    banner(`${error.title}. ${error.message}`);
    setTimeout(start, 3000);
    return;
  }
  await openAddress();
  await source.offer(!view);
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
$("cancel").addEventListener("click", async () => {
  try {
    view.update(await post(`/v1/jobs/${view.id}/cancel`));
    $("cancel").disabled = true;
    say("Stopping at the next step.");
  } catch (error) {
    showProblem(error);
  }
});
// The address names the job; a jump within the page must not replace it.
for (const link of document.querySelectorAll(".skip")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    document.querySelector(link.hash).focus();
  });
}
$("key").value = apiKey();
$("key").addEventListener("change", () => {
  setApiKey($("key").value.trim());
  start();
});
addEventListener("hashchange", openAddress);
start();
