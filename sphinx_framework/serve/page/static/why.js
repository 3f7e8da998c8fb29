// Why each frame was treated as it was: its ratio against the wanted quality, its start, its mask.
import { $, element, percent, shape } from "./dom.js";

export function explain(view, index) {
  $("why").textContent = sentence(view, index);
  chart(view, index);
}

function sentence(view, index) {
  const { plan, frames } = view;
  if (!plan) return "The plan comes after the regression views.";
  const start = plan.start_steps[index];
  const steps = plan.num_steps;
  const [ratio, area] = [plan.ratios?.[index], plan.mask_fractions?.[index]];
  const report = view.reported(index);
  const parts = [`Frame ${index + 1}:`];
  if (plan.mode === "regression") return `${parts[0]} as the regression model rendered it; this mode has no diffusion.`;
  if (plan.mode === "diffusion") parts.push(`all ${steps} denoising steps; this mode refines every frame from noise.`);
  else {
    if (ratio != null) parts.push(`the regression view scores ${percent(ratio)} of what its input photos score; quality ${percent(plan.quality)} is wanted.`);
    if (start < steps) parts.push(`Diffusion starts at step ${start} of ${steps}: a later start keeps more of the regression view and costs less.`);
    else parts.push("No diffusion was planned for it: it is served as rendered.");
    if (area != null) parts.push(`The mask marks ${percent(area)} of the frame${plan.mode === "selective" ? "" : "; this mode refines all of it"}.`);
  }
  if (report?.reason) parts.push(`Served as rendered, because: ${report.reason}.`);
  else if (frames[index]?.final && frames[index].served === "regression" && start < steps) parts.push("In the end it was served as rendered.");
  if (report?.psnr != null) parts.push(`Against ground truth: ${report.psnr.toFixed(1)} dB.`);
  return parts.join(" ");
}

function chart(view, index) {
  const { plan } = view;
  if (!plan?.start_steps.length) {
    $("chart").replaceChildren();
    return;
  }
  const wide = Math.max(240, Math.min(640, $("chart").clientWidth || 640)); // one unit is one pixel
  const [width, height, left, low] = [wide, 140, 34, 122];
  const { num_steps: steps, start_steps: starts } = plan;
  const gap = (width - left) / starts.length;
  const y = (step) => 10 + ((low - 10) * step) / steps;
  const text = starts.map((start, i) => `frame ${i + 1}: ${start >= steps ? "none" : steps - start}`).join(", ");
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Share of the ${steps} denoising steps from each frame's start. ${text}` },
    shape("line", { class: "axis", x1: left, y1: low, x2: width, y2: low }),
    shape("text", { x: left - 5, y: 16, "text-anchor": "end", text: "0" }),
    shape("text", { x: left - 5, y: low, "text-anchor": "end", text: String(steps) }));
  starts.forEach((start, i) => {
    const top = start >= steps ? low - 2 : y(start);
    const kind = i === index ? "now" : start >= steps ? "none" : "";
    svg.append(shape("rect", { class: `bar ${kind}`, x: left + i * gap + gap * 0.15, y: top, width: gap * 0.7, height: low - top },
      shape("title", { text: `frame ${i + 1}: start ${start} of ${steps}` })));
    if (i % Math.ceil(22 / gap) === 0) {
      svg.append(shape("text", { x: left + (i + 0.5) * gap, y: low + 14, "text-anchor": "middle", text: String(i + 1) }));
    }
  });
  $("chart").replaceChildren(svg, element("p", { class: "soft", text: "Bars reach from each frame's start step to the last step." }));
}
