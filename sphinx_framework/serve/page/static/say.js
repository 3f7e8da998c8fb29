// The job's state in words: every change to the eye, only changes of stage to the ear.
import { $ } from "./dom.js";

const TITLE = document.title;

/** `quiet`: a detail of what was said before, such as the next step. */
export function say(text, quiet = false) {
  if ($("state").textContent !== text) $("state").textContent = text;
  if (!quiet && $("live").textContent !== text) $("live").textContent = text;
}

/** How far the job is: a share, null for unknown, or false when none runs; also in the tab. */
export function progress(share) {
  const bar = $("bar");
  if (share === null) bar.removeAttribute("value");
  else bar.value = share || 0;
  const running = share !== false && share !== 1;
  document.title = running ? `${share === null ? "…" : `${Math.round(100 * share)} %`} ${TITLE}` : TITLE;
}
