// Requests to the server: one shape for every error, the API key, files as pictures.
const KEY = "sphinx-nvs-key";

/** What the server refused, from its problem document; status 0: it did not answer at all. */
export class Problem extends Error {
  constructor(status, document = {}, retryAfter = null) {
    super(document.detail || document.title || `The server answered ${status}.`);
    this.status = status;
    this.title = document.title || "The server answered with an error";
    this.hint = document.hint || "";
    this.errors = Array.isArray(document.errors) ? document.errors : [];
    this.retryAfter = retryAfter;
  }
}

export const apiKey = () => sessionStorage.getItem(KEY) || "";
export function setApiKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/** Fetch; raises Problem for every answer of 400 and above and for none. */
export async function ask(path, options = {}) {
  const headers = { ...(apiKey() ? { Authorization: `Bearer ${apiKey()}` } : {}), ...options.headers };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unanswered();
  }
  if (answer.ok) return answer;
  const document = await answer.json().catch(() => ({}));
  throw new Problem(answer.status, document, Number(answer.headers.get("Retry-After")) || null);
}

const unanswered = () =>
  new Problem(0, {
    title: "The server does not answer",
    detail: "Is it still running, and is the network there?",
  });

export const getJson = async (path, options) => (await ask(path, options)).json();

/** Post JSON or a form, with a key that makes sending again harmless. */
export function post(path, body, idempotencyKey) {
  const form = body instanceof FormData;
  const headers = {};
  if (!form) headers["Content-Type"] = "application/json";
  if (idempotencyKey) headers["Idempotency-Key"] = idempotencyKey;
  return getJson(path, { method: "POST", headers, body: form ? body : JSON.stringify(body ?? {}) });
}

/** A random key; also where the page is not a secure context and has no randomUUID. */
export function freshKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((v) => v.toString(16).padStart(2, "0")).join("");
}

/** An address that an <img> can show: with an API key it must be fetched first. */
export async function picture(url) {
  if (!apiKey()) return url;
  const answer = await ask(url);
  const blob = await answer.blob().catch(() => {
    throw unanswered(); // it broke off in the middle
  });
  return URL.createObjectURL(blob);
}

/** Save a file of the server under a name. */
export async function save(url, name) {
  const link = document.createElement("a");
  const local = apiKey() ? URL.createObjectURL(await (await ask(url)).blob()) : url;
  link.href = local;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  if (local !== url) setTimeout(() => URL.revokeObjectURL(local), 60000);
}
