// The few words this page needs to build elements; user text only ever becomes textContent.
export const $ = (id) => document.getElementById(id);

/** An element with properties (`class`, `text`, `on...` listeners, attributes) and children. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  fill(made, properties);
  made.append(...children.filter((child) => child != null));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";
export function shape(name, properties = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  fill(made, properties);
  made.append(...children);
  return made;
}

function fill(made, properties) {
  for (const [key, value] of Object.entries(properties)) {
    if (value == null || value === false) continue;
    if (key === "text") made.textContent = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
}

export const seconds = (value) =>
  value == null ? "unknown" : value < 10 ? `${value.toFixed(1)} s`
    : value < 90 ? `${Math.round(value)} s` : `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
export const percent = (share) => `${Math.round(100 * share)} %`;
export const size = (bytes) =>
  bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
