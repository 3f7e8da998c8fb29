// Errors where they can be seen and heard: beside the form, at their field, or as a banner.
import { $, element } from "./dom.js";

const FIELDS = {
  quality: "quality", mode: "mode", seed: "seed", targets: "path", target_cameras: "path", scene: "files",
};

export function clearProblem() {
  $("problem").hidden = true;
  for (const field of document.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
}

/** Show what went wrong with a request, and move to it. */
export function showProblem(problem) {
  const errors = (problem.errors ?? []).filter((error) => error.detail);
  const parts = [
    element("strong", { text: problem.title ?? "This cannot be sent" }),
    element("p", { text: problem.message }),
  ];
  if (problem.hint) parts.push(element("p", { text: problem.hint }));
  if (errors.length > 1) {
    parts.push(element("ul", {}, ...errors.map((error) =>
      element("li", { text: `${error.pointer.slice(1).replaceAll("/", " ")}: ${error.detail}` }))));
  }
  if (problem.retryAfter) {
    parts.push(element("p", { text: `The server asks to wait ${problem.retryAfter} s before trying again.` }));
  }
  if (problem.status === 401) parts.push(element("p", { text: "Enter the key under More." }));
  for (const error of errors) {
    const field = $(FIELDS[error.pointer?.split("/")[1]]);
    field?.setAttribute("aria-invalid", "true");
  }
  const box = $("problem");
  box.replaceChildren(...parts);
  box.hidden = false;
  box.focus();
}

/** Say that the server is away, or nothing. */
export function banner(text) {
  $("banner").hidden = !text;
  if ($("banner").textContent !== text) $("banner").textContent = text;
}
