// @ts-check
// The address bar holds the whole state, so that what is seen can be shared and gone back to.
//
//   q        text of the query language        t        weights set by hand: dog:2,beach:0
//   like     id of a picture to be like        all, sort, table, rerank   as in the filters
//   picture  id of the picture that is shown   view     "words" for the vocabulary

/**
 * @typedef {{q: string, t: Map<string, number>, like: string, all: boolean, sort: string, table: boolean,
 *   rerank: boolean, picture: string, view: string}} State
 */

/** @returns {State} */
export function read() {
  const params = new URLSearchParams(location.search);
  const text = (/** @type {string} */ name) => params.get(name) ?? "";
  return {
    q: text("q"), t: readWeights(text("t")), like: text("like"), all: params.has("all"), sort: text("sort"),
    table: params.has("table"), rerank: params.has("rerank"), picture: text("picture"), view: text("view"),
  };
}

/** The address of a state. @param {State} state */
export function address(state) {
  const params = new URLSearchParams();
  const put = (/** @type {string} */ name, /** @type {string} */ value) => value && params.set(name, value);
  put("q", state.q);
  put("t", writeWeights(state.t));
  put("like", state.like);
  put("all", state.all ? "1" : "");
  put("sort", state.sort);
  put("table", state.table ? "1" : "");
  put("rerank", state.rerank ? "1" : "");
  put("picture", state.picture);
  put("view", state.view);
  const query = params.toString();
  return query ? `/?${query}` : "/";
}

/** The address of the state at hand with some changes. @param {Partial<State>} changes */
export const addressWith = (changes) => address({ ...read(), ...changes });

/** Goes to a changed state; `replace` leaves no step to go back to. @param {Partial<State>} changes @param {boolean} [replace] */
export function go(changes, replace = false) {
  const next = addressWith(changes);
  if (next === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", next);
  dispatchEvent(new Event("statechange"));
}

/** Whether there is something to look for. @param {State} state */
export const isQuery = (state) => Boolean(state.q.trim() || state.t.size || state.like);

/** The body of a search. @param {State} state */
export function body(state) {
  /** @type {Record<string, any>} */
  const body = { query: state.q, tokens: Object.fromEntries(state.t), all: state.all };
  if (state.like) body.like = { id: state.like };
  if (state.table) body.mode = "table";
  return body;
}

/** @param {string} text @returns {Map<string, number>} */
function readWeights(text) {
  const pairs = text.split(",").map((part) => {
    const colon = part.lastIndexOf(":");
    return /** @type {[string, number]} */ ([part.slice(0, colon), Number(part.slice(colon + 1))]);
  });
  return new Map(pairs.filter(([token, weight]) => token && weight >= 0 && weight <= 100));
}

/** @param {Map<string, number>} weights */
const writeWeights = (weights) => [...weights].map(([token, weight]) => `${token}:${weight}`).join(",");

/** The value of a filter in a query. @param {string} q @param {string} name */
export function filter(q, name) {
  const found = pattern(name).exec(q);
  return found ? found[1].replace(/^"|"$/g, "") : "";
}

/** The query with another value of a filter, or without it. @param {string} q @param {string} name @param {string} value */
export function withFilter(q, name, value) {
  const without = q.replace(pattern(name), " ").replace(/\s+/g, " ").trim();
  if (!value) return without;
  return `${without} ${name}:${/\s/.test(value) ? `"${value}"` : value}`.trim();
}

/** @param {string} name */
const pattern = (name) => new RegExp(`(?:^|\\s)${name}:("[^"]*"|\\S+)`);

/** A word as the query language takes it. @param {string} word */
export const quoted = (word) => (/^[\p{L}\p{N}]+$/u.test(word) ? word : `"${word.replaceAll('"', "")}"`);
