// One page, no framework: it submits a job, follows its events and shows each view as it sharpens.
const $ = (id) => document.getElementById(id);
let job = null;
let plan = null;

const headers = () => ($("key").value ? { Authorization: `Bearer ${$("key").value}` } : {});

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { ...headers(), ...(options.headers || {}) } });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Error([problem.detail || `The server answered ${answer.status}.`, problem.hint].filter(Boolean).join(" "));
  }
  return answer;
}

function say(text) { $("state").textContent = text; }

async function describe() {
  const model = (await (await ask("/v1/models")).json()).data[0];
  $("model").textContent = `${model.id}: ${model.num_steps} steps, ${model.threads} thread(s) per worker`;
  $("mode").replaceChildren(...model.modes.map((name) => new Option(name, name, name === model.mode, name === model.mode)));
  $("quality").value = model.quality;
  $("qualityText").textContent = $("quality").value;
}

function request() {
  const wanted = { mode: $("mode").value || undefined, quality: Number($("quality").value), seed: Number($("seed").value) };
  if ($("path").value) wanted.targets = `${$("path").value}:${Number($("count").value)}`;
  return wanted;
}

async function submit() {
  const key = { "Idempotency-Key": crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2) };
  const own = document.querySelector("input[name=from]:checked").value === "files";
  if (!own) {
    const body = JSON.stringify({ ...request(), scene: "procedural:demo" });
    return (await ask("/v1/jobs", { method: "POST", body, headers: { ...key, "Content-Type": "application/json" } })).json();
  }
  const form = new FormData();
  for (const file of $("files").files) {
    const name = file.name.toLowerCase();
    form.append(name.endsWith(".json") ? "cameras" : /\.(png|jpe?g|webp)$/.test(name) ? "photos" : "scene", file);
  }
  form.append("request", JSON.stringify(request()));
  return (await ask("/v1/jobs", { method: "POST", body: form, headers: key })).json();
}

async function* events(identity) {
  let last = 0;
  while (true) {
    try {
      const answer = await ask(`/v1/jobs/${identity}/events`, { headers: { "Last-Event-ID": String(last) } });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        text += piece.value;
        const blocks = text.split("\n\n");
        text = blocks.pop();
        for (const block of blocks) {
          const fields = Object.fromEntries(block.split("\n").map((line) => [line.split(": ", 1)[0], line.slice(line.indexOf(": ") + 2)]));
          if (!fields.data) continue;
          last = Number(fields.id);
          yield { name: fields.event, data: JSON.parse(fields.data) };
          if (fields.event === "done") return;
        }
      }
    } catch (error) {
      say(`The connection broke; trying again. ${error.message}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

async function show(index, url, kind, text) {
  let figure = $(`view${index}`);
  if (!figure) {
    figure = document.createElement("figure");
    figure.id = `view${index}`;
    figure.append(document.createElement("img"), document.createElement("figcaption"));
    $("views").append(figure);
  }
  const image = figure.querySelector("img");
  const fresh = URL.createObjectURL(await (await ask(url)).blob());
  if (image.src) URL.revokeObjectURL(image.src);
  image.src = fresh;
  image.alt = `view ${index}, ${kind}`;
  figure.className = kind === "coarse" ? "coarse" : "";
  figure.querySelector("figcaption").textContent = `${index}: ${text}`;
}

function why(index, served) {
  if (served === "regression") return "served as rendered";
  const mask = plan && plan.mask_fractions ? `, ${Math.round(100 * plan.mask_fractions[index])}% marked` : "";
  return plan ? `refined from step ${plan.start_steps[index]} of ${plan.num_steps}${mask}` : "refined";
}

async function download(url, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await (await ask(url)).blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function run() {
  $("go").disabled = true;
  $("views").replaceChildren();
  $("links").replaceChildren();
  $("plan").textContent = "";
  $("bar").value = 0;
  plan = null;
  try {
    say("Sending.");
    job = await submit();
    $("cancel").disabled = false;
    for await (const { name, data } of events(job.id)) {
      if (name === "status") say(data.status === "queued" ? "Waiting for a worker." : "Running.");
      if (name === "progress") {
        say(`${data.stage} ${data.step} of ${data.total}`);
        if (data.stage === "denoise") $("bar").value = data.step / data.total;
      }
      if (name === "plan") {
        plan = data.plan;
        const cost = plan.predicted_seconds === null ? "" : `, about ${plan.predicted_seconds.toFixed(1)} s`;
        $("plan").textContent = `${plan.frame_steps} of ${plan.frame_steps_dense} frame steps${cost}`;
      }
      if (name === "preview") await show(data.index, data.url, "coarse", "regression view");
      if (name === "frame") await show(data.index, data.url, "final", why(data.index, data.served));
      if (name === "done") {
        say(data.status === "succeeded" ? "Done." : `${data.status}${data.error ? `: ${data.error.detail}` : "."}`);
        $("bar").value = data.status === "succeeded" ? 1 : $("bar").value;
        if (data.status === "succeeded") {
          const all = document.createElement("button");
          all.textContent = "Download everything (zip)";
          all.addEventListener("click", () => download(`/v1/jobs/${job.id}/result.zip`, `${job.id}.zip`));
          $("links").append(all);
        }
      }
    }
  } catch (error) {
    say(error.message);
  } finally {
    $("go").disabled = false;
    $("cancel").disabled = true;
  }
}

$("ask").addEventListener("submit", (event) => { event.preventDefault(); run(); });
$("cancel").addEventListener("click", () => ask(`/v1/jobs/${job.id}/cancel`, { method: "POST" }).catch((error) => say(error.message)));
$("quality").addEventListener("input", () => { $("qualityText").textContent = $("quality").value; });
$("key").addEventListener("change", () => describe().catch((error) => say(error.message)));
describe().catch((error) => say(error.message));
