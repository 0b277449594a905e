// @ts-check
// Shows what the address says, and changes the address on every step.

import * as api from "./api.js";
import * as box from "./box.js";
import { byId, count, counted, field, make, percent } from "./dom.js";
import * as picture from "./picture.js";
import * as results from "./results.js";
import { body, filter, go, isQuery, read } from "./state.js";
import * as steer from "./steer.js";
import * as words from "./words.js";

/** Pictures that are asked for at once. */
const PAGE = 48;
/** Words that are proposed. */
const CHIPS = 8;
/** Words of a dropped picture that are searched for: the address bar holds them. */
const PICTURE_WORDS = 60;

const status = byId("status");
const notice = byId("notice");
const more = byId("more");
/** @type {AbortController | undefined} */
let searching;
/** What asks for the next pictures: the search at hand or the browsing, from a cursor on.
 * @type {((cursor: string | null, signal: AbortSignal) => Promise<any>) | null} */
let source = null;
/** @type {string | null} */
let cursor = null;
/** The address of the pictures that stand in the grid. */
let shown = "";
let depth = 50;

/** Tells people something, with things to do about it. @param {string} text @param {[string, () => void][]} actions */
function tell(text, ...actions) {
  notice.replaceChildren(text, ...actions.map(([label, act]) => make("button", { type: "button", onclick: act }, label)));
  notice.hidden = false;
}

/** @param {unknown} error */
function fail(error) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  status.textContent = "";
  const problem = /** @type {api.Problem} */ (error);
  if (problem.status === 401) {
    byId("login").hidden = false;
    byId("found").hidden = true;
    field("token").focus();
    return;
  }
  const again = /** @type {[string, () => void]} */ (["Try again", () => { shown = ""; render(); }]);
  if (problem.status === 422) return tell(`${problem.message}.`);
  if (problem.code === "unknown_id") return tell(`${problem.message}. It may have been moved or deleted.`, ["Back", () => go({ picture: "", like: "" })]);
  tell(problem.message, again);
}

/** One page of a search. @param {any} asked @param {string | null} at @param {AbortSignal} signal */
async function searched(asked, at, signal) {
  const answer = await api.search({ ...asked, k: PAGE, cursor: at, refine: at ? 0 : CHIPS }, signal);
  if (!at) said(answer);
  return answer;
}

/** @param {any} answer */
function said(answer) {
  const without = answer.excluded ? `, ${count(answer.excluded)} left out` : "";
  const second = answer.reranker ? `, the first ${answer.reranker.depth} looked at again` : "";
  status.textContent = answer.matched
    ? `${counted(answer.matched, "picture", "pictures")}${without}${second}, ${answer.took_ms.toFixed(1)} ms`
    : "";
  steer.showQuery(answer);
  steer.showChips(answer.refinements);
  if (answer.warnings.length) tell(`${answer.warnings.join(". ")}.`);
  if (answer.verdict === "none") nothing(answer);
}

/** @param {any} answer */
function nothing(answer) {
  const asked = answer.query.tokens.slice(0, 3).map((/** @type {any} */ word) => word.token).join(", ");
  if (answer.nearest) {
    tell(`Nothing found: no picture covers ${percent(answer.threshold)} of “${asked}”. The nearest one covers ${percent(answer.nearest.coverage)}. `,
      ["Show the nearest", () => go({ all: true })]);
  } else if (answer.excluded) {
    tell(`Nothing found, but ${counted(answer.excluded, "picture", "pictures")} would match without “${answer.query.exclude.join("”, “")}”.`);
  } else if (/(^|\s)(path|after|before|camera|size|near):/.test(read().q)) {
    tell("Nothing found: no picture that passes the filters has any of these words.");
  } else {
    tell("Nothing found: no picture has any of these words. Try others: the list of words says which there are.");
  }
}

/** All pictures, the latest first, where nothing is looked for. @param {string | null} at @param {AbortSignal} signal */
async function browsed(at, signal) {
  const params = new URLSearchParams({ k: String(PAGE) });
  if (at) params.set("cursor", at);
  for (const name of ["path", "camera", "after", "before"]) {
    const value = filter(read().q, name);
    if (value) params.set(name, value);
  }
  const answer = await api.images(params, signal);
  if (!at) {
    status.textContent = answer.matched ? `${counted(answer.matched, "picture", "pictures")}, the latest first` : "";
    if (!answer.matched) tell("There are no pictures here yet. Index a folder: sightword index DIR");
  }
  return answer;
}

/** Loads pictures: the first, or the next. @param {boolean} next */
async function load(next) {
  if (!source) return;
  searching?.abort();
  searching = new AbortController();
  const { signal } = searching;
  more.hidden = true;
  if (!next) status.textContent = "Searching …";
  try {
    const answer = await source(next ? cursor : null, signal);
    results.show(answer.hits, next);
    cursor = answer.cursor;
    more.hidden = !cursor;
  } catch (error) {
    if (error instanceof api.Problem && error.code === "old_cursor") {
      tell("The pictures have changed meanwhile.", ["Search again", () => { shown = ""; render(); }]);
    } else fail(error);
  }
}

/** Whether the query has words, and not only filters. @param {import("./state.js").State} state */
const hasWords = (state) => isQuery({ ...state, q: ["path", "after", "before", "camera", "size", "near"].reduce(
  (q, name) => q.replace(new RegExp(`(^|\\s)${name}:("[^"]*"|\\S+)`, "g"), " "), state.q) });

/** Shows what the address says. */
function render() {
  const state = read();
  notice.hidden = true;
  byId("picture").hidden = byId("words").hidden = byId("login").hidden = true;
  byId("found").hidden = Boolean(state.picture) || state.view === "words";
  if (document.activeElement !== field("q")) field("q").value = state.q;
  byId("to-words").toggleAttribute("aria-current", state.view === "words");
  if (state.view === "words") {
    status.textContent = "";
    return words.show().catch(fail);
  }
  if (state.picture) {
    status.textContent = "";
    scrollTo(0, 0);
    return picture.show().catch(fail);
  }
  document.title = state.q ? `${state.q} – sightword` : "sightword";
  steer.showFilters();
  const asked = JSON.stringify({ ...state, t: [...state.t] });
  if (asked === shown) return;
  shown = asked;
  const asks = hasWords(state);
  byId("weights").hidden = byId("missing").hidden = byId("same").hidden = !asks;
  byId("chips").hidden = true;
  const query = { ...body(state), sort: state.sort || "score", rerank: state.rerank && !state.sort ? { depth } : null };
  source = asks ? (at, signal) => searched(query, at, signal) : browsed;
  return load(false);
}

/** Searches by a picture that is no part of the collection: its words become the query. @param {File} file */
async function searchBy(file) {
  notice.hidden = true;
  status.textContent = `Looking at ${file.name} …`;
  try {
    const image_base64 = await box.base64(file);
    const { q } = read();
    const answer = await api.search({ query: q, like: { image_base64 }, k: 1, explain: false });
    const heaviest = answer.query.tokens.slice(0, PICTURE_WORDS);
    shown = "";
    // With the words as weights the address holds the whole query, and each has its slider.
    const t = new Map(heaviest.map((/** @type {any} */ word) => [word.token, Math.round(word.weight * 100) / 100]));
    const operators = q.split(/\s+/).filter((part) => /^-|^(path|after|before|camera|size|near):/.test(part)).join(" ");
    go({ q: operators, t, like: "", picture: "", view: "" });
    if (!heaviest.length) tell("The model sees no word in this picture.");
  } catch (error) {
    fail(error);
  }
}

/** Links inside the page change the address without loading the page anew. @param {MouseEvent} event */
function follow(event) {
  const link = /** @type {HTMLElement} */ (event.target).closest("a[data-link], .home, #to-words");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  history.pushState(null, "", /** @type {HTMLAnchorElement} */ (link).href);
  render();
}

async function begin() {
  box.setUp(searchBy);
  addEventListener("click", follow);
  addEventListener("popstate", render);
  addEventListener("statechange", () => render());
  more.addEventListener("click", () => load(true));
  new IntersectionObserver(([entry]) => { if (entry.isIntersecting && !more.hidden) load(true); }, { rootMargin: "600px" }).observe(more);
  byId("login").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await api.login(field("token").value);
      location.reload();
    } catch (error) {
      tell(/** @type {Error} */ (error).message);
    }
  });
  const info = await api.info().catch(() => null);
  depth = info?.reranker?.depth ?? depth;
  steer.setUp(info);
  await render();
}

begin();
