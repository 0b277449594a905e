// @ts-check
// Talks to the server that the page came from, and to no other.

/** What the server said was wrong. */
export class Problem extends Error {
  /** @param {number} status @param {string} code @param {string} detail */
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** @param {string} path @param {RequestInit} [options] */
async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "offline", "The server does not answer. Is sightword serve still running?");
  }
  if (response.ok) return response.status === 204 ? null : response.json();
  let body = {};
  try {
    body = await response.json();
  } catch {
    // Something between here and the server answered instead.
  }
  throw new Problem(response.status, body.code ?? "", body.detail ?? `The server answered ${response.status}.`);
}

/** @param {string} path @param {object} body @param {AbortSignal} [signal] */
const post = (path, body, signal) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });

/** @param {string} id */
const image = (id) => `/v1/images/${encodeURIComponent(id)}`;

export const info = () => ask("/info");
export const facets = () => ask("/v1/facets");
/** @param {string} token */
export const login = (token) => post("/v1/session", { token });
/** @param {object} body @param {AbortSignal} [signal] */
export const search = (body, signal) => post("/v1/search", body, signal);
/** @param {object} body */
export const explain = (body) => post("/v1/explain", body);
/** @param {URLSearchParams} params @param {AbortSignal} [signal] */
export const images = (params, signal) => ask(`/v1/images?${params}`, { signal });
/** @param {string} prefix @param {number} k @param {AbortSignal} [signal] */
export const vocabulary = (prefix, k, signal) => ask(`/v1/vocabulary?${new URLSearchParams({ prefix, k: String(k) })}`, { signal });
/** @param {string} id */
export const picture = (id) => ask(image(id));
/** @param {string} id */
export const tokens = (id) => ask(`${image(id)}/tokens`);
/** @param {string} id */
export const similar = (id) => ask(`${image(id)}/similar?k=12`);
/** @param {string} id @param {string} token */
export const heatmap = (id, token) => ask(`${image(id)}/heatmap?${new URLSearchParams({ token })}`);
/** @param {string} id @param {number} width */
export const thumbnail = (id, width) => `${image(id)}/thumbnail?w=${width}`;
