// Quality against latency: the mode, the dial, and what each would cost on this scene, as far as a
// plan of the server has told. Nothing is guessed: without a plan the cost is unknown.
import { $, percent, seconds, shape } from "./dom.js";

const MODES = {
  selective: "Frames that need it are refined, from their own step, where the mask says.",
  fine: "Frames that need it are refined, each from its own step, everywhere.",
  coarse: "All frames that are refined start at one common step.",
  diffusion: "Full diffusion of every frame: the reference, and the slowest.",
  regression: "The fast views alone, without any diffusion.",
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
    $("qualityText").textContent = percent(this.quality).replace(/^\d+/, (100 * this.quality).toFixed(1));
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
    this.draw(known);
  }

  draw(known) {
    $("curve").replaceChildren();
    if (known.length < 2) return;
    const [width, height, left, low] = [360, 120, 44, 96];
    const [first, last] = [known[0][0], known.at(-1)[0]];
    const most = Math.max(...known.map(([, s]) => s));
    const x = (quality) => left + ((quality - first) / (last - first)) * (width - left - 20);
    const y = (s) => low - (s / most) * (low - 14);
    const text = known.map(([quality, s]) => `${percent(quality)}: ${seconds(s)}`).join(", ");
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Predicted cost by quality. ${text}` },
      shape("line", { class: "axis", x1: left, y1: low, x2: width - 10, y2: low }),
      shape("line", { class: "axis", x1: left, y1: low, x2: left, y2: 8 }),
      shape("polyline", { class: "curve", points: known.map(([q, s]) => `${x(q)},${y(s)}`).join(" ") }),
      shape("text", { x: left - 6, y: 18, "text-anchor": "end", text: seconds(most) }),
      shape("text", { x: left - 6, y: low, "text-anchor": "end", text: "0 s" }),
      shape("text", { x: x(first), y: low + 16, "text-anchor": "middle", text: percent(first) }),
      shape("text", { x: x(last), y: low + 16, "text-anchor": "middle", text: percent(last) }));
    const now = known.reduce((best, entry) => (Math.abs(entry[0] - this.quality) < Math.abs(best[0] - this.quality) ? entry : best));
    svg.append(shape("circle", { class: "dot", cx: x(now[0]), cy: y(now[1]), r: 4 }));
    $("curve").append(svg);
  }
}
