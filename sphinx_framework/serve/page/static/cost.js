// Quality against latency: the mode, the dial, and what each would cost on this scene, as far as a
// plan of the server has told. Nothing is guessed: without a plan the cost is unknown.
import { $, element, percent, seconds } from "./dom.js";

const MODES = {
  selective: "Frames that need it are refined, from their own step, where the mask says.",
  fine: "Frames that need it are refined, each from its own step, everywhere.",
  coarse: "All frames that are refined start at one common step.",
  diffusion: "Full diffusion of every frame: the reference, and the slowest.",
  regression: "The fast views alone, without any diffusion.",
};

/** What a quality is a share of, by the objective that the pipeline's rules were fitted for. */
const MEANINGS = {
  paper: "The share of full diffusion's score; 100 % is full diffusion.",
  truth: "The share of the best plan's likeness to the truth, as calibrated; 100 % is that plan.",
};

export class Cost {
  constructor() {
    this.plans = [];
    this.scene = null;
    $("mode").addEventListener("change", () => this.show());
    $("quality").addEventListener("input", () => this.show());
  }

  /** The served pipeline: its modes and defaults. */
  serve(model) {
    const chosen = $("mode").value || model.mode;
    $("mode").replaceChildren(...model.modes.map((name) => new Option(name, name)));
    $("mode").value = chosen;
    if (!this.model) $("quality").value = model.quality;
    this.model = model;
    this.show();
  }

  /** Jobs whose plans tell of costs; those of the scene at hand count. */
  learn(jobs) {
    this.plans = jobs.filter((job) => job.plan && !job.plan.degraded);
    this.show();
  }

  over(scene) {
    this.scene = scene;
    this.show();
  }

  get mode() {
    return $("mode").value;
  }

  get quality() {
    return Number($("quality").value);
  }

  /** Known costs `[quality, seconds]` of this scene and mode per rising quality. */
  known() {
    const costs = new Map();
    for (const { plan, scene } of [...this.plans].reverse()) {
      if (scene.id !== this.scene || plan.mode !== this.mode) continue;
      for (const step of plan.ladder ?? []) if (step.predicted_seconds != null) costs.set(step.quality, step.predicted_seconds);
      if (plan.predicted_seconds != null) costs.set(plan.quality, plan.predicted_seconds);
    }
    return [...costs].sort((a, b) => a[0] - b[0]);
  }

  show() {
    $("modeNote").textContent = MODES[this.mode] ?? "";
    $("qualityText").textContent = exactly(this.quality);
    const { objective } = this.plans.find(({ plan }) => plan.objective)?.plan ?? {};
    $("qualityNote").textContent = MEANINGS[objective] ?? "";
    $("quality").disabled = ["diffusion", "regression"].includes(this.mode);
    const known = this.known();
    const exact = known.find(([quality]) => Math.abs(quality - this.quality) < 1e-6);
    const [below, above] = [known.findLast(([q]) => q < this.quality), known.find(([q]) => q > this.quality)];
    const planned = this.plans.some(({ plan, scene }) => scene.id === this.scene && plan.mode === this.mode);
    let text = "unknown. It is told once a job of this scene and mode has been planned";
    if (planned) text = "unknown. Plans on this server tell none: its cost table lacks a stage, or there is none";
    if (exact) text = `about ${seconds(exact[1])}`;
    else if (below && above) text = `between ${seconds(Math.min(below[1], above[1]))} and ${seconds(Math.max(below[1], above[1]))}`;
    else if (below) text = `unknown here; about ${seconds(below[1])} at ${percent(below[0])}`;
    else if (above) text = `unknown here; about ${seconds(above[1])} at ${percent(above[0])}`;
    $("cost").textContent = `Predicted cost: ${text}.`;
    $("quality").min = Math.min(0.8, ...known.map(([quality]) => quality));
    this.draw(known);
  }

  /** A rung per known quality: how much it costs, and a button that chooses it. */
  draw(known) {
    const most = Math.max(...known.map(([, cost]) => cost));
    const at = (quality) => Math.abs(quality - this.quality) < 1e-6;
    const rungs = known.map(([quality, cost]) => {
      const bar = element("span", { class: "cost", "aria-hidden": "true" });
      bar.style.width = `${Math.max(2, (100 * cost) / most)}%`;
      const text = `${exactly(quality)}, about ${seconds(cost)}`;
      return element("li", {}, element("button", { type: "button", class: "quiet", "aria-pressed": String(at(quality)), "aria-label": text,
        onclick: () => this.choose(quality) },
      element("span", { text: exactly(quality) }), element("span", { class: "track" }, bar), element("span", { text: seconds(cost) })));
    });
    const focused = [...$("rungs").children].findIndex((rung) => rung.contains(document.activeElement));
    $("rungs").replaceChildren(...(known.length > 1 ? rungs : []));
    $("rungs").children[focused]?.firstChild.focus();
  }

  choose(quality) {
    $("quality").value = quality;
    this.show();
  }
}

const exactly = (share) => `${+(100 * share).toFixed(1)} %`;
