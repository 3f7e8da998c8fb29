// Why each frame was treated as it was: its ratio against the wanted quality, its start, its mask.
import { $, percent, shape } from "./dom.js";

export function explain(view, index) {
  $("why").textContent = sentence(view, index);
  chart(view, index);
}

function sentence({ plan, frames }, index) {
  if (!plan) return "The plan comes after the regression views.";
  const start = plan.start_steps[index];
  const steps = plan.num_steps;
  const ratio = plan.ratios?.[index];
  const area = plan.mask_fractions?.[index];
  const parts = [`Frame ${index + 1}:`];
  if (plan.mode === "regression") return `${parts[0]} served as the regression model rendered it; this mode has no diffusion.`;
  if (plan.mode === "diffusion") return `${parts[0]} all ${steps} denoising steps; this mode refines every frame from noise.`;
  if (ratio != null) {
    parts.push(`the regression view scores ${percent(ratio)} of what the score expects of its input photos, and ${percent(plan.quality)} of full diffusion's quality is wanted.`);
  }
  if (start >= steps || frames[index]?.served === "regression") parts.push("That is enough: it is served as rendered.");
  else parts.push(`So diffusion starts at step ${start} of ${steps}: later starts keep more of the regression view and cost less.`);
  if (area != null && start < steps) parts.push(`The mask marks ${percent(area)} of the frame.`);
  return parts.join(" ");
}

function chart(view, index) {
  const { plan } = view;
  if (!plan?.start_steps.length) {
    $("chart").replaceChildren();
    return;
  }
  const [width, height, left, low] = [640, 150, 34, 122];
  const { num_steps: steps, start_steps: starts } = plan;
  const gap = (width - left) / starts.length;
  const y = (step) => 10 + ((low - 10) * step) / steps;
  const text = starts.map((start, i) => `frame ${i + 1}: ${start >= steps ? "none" : steps - start}`).join(", ");
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Share of the ${steps} denoising steps from each frame's start. ${text}` },
    shape("line", { class: "axis", x1: left, y1: low, x2: width, y2: low }),
    shape("text", { x: left - 5, y: 16, "text-anchor": "end", text: "0" }),
    shape("text", { x: left - 5, y: low, "text-anchor": "end", text: String(steps) }),
    shape("text", { x: width, y: height - 2, "text-anchor": "end", text: "frames; bars reach from a frame's start step to the end" }));
  starts.forEach((start, i) => {
    const top = start >= steps ? low - 2 : y(start);
    const kind = i === index ? "now" : start >= steps ? "none" : "";
    svg.append(shape("rect", { class: `bar ${kind}`, x: left + i * gap + gap * 0.15, y: top, width: gap * 0.7, height: low - top },
      shape("title", { text: `frame ${i + 1}: start ${start} of ${steps}` })));
    if (starts.length <= 24 || i % Math.ceil(starts.length / 12) === 0) {
      svg.append(shape("text", { x: left + (i + 0.5) * gap, y: low + 14, "text-anchor": "middle", text: String(i + 1) }));
    }
  });
  $("chart").replaceChildren(svg);
}
