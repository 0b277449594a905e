// @ts-check
// Steers the search: weights, words to add or forbid, filters. Whatever is done changes the address.

import * as api from "./api.js";
import { byId, calmly, count, field, make } from "./dom.js";
import { filter, go, quoted, read, withFilter } from "./state.js";

/** Words of the query that have a slider at first. */
const FIRST = 10;
const sliders = byId("sliders");
const more = byId("more-weights");
let showsAll = false;

/** @param {string} token @param {number | null} weight or null for the model's own */
function weigh(token, weight) {
  const t = new Map(read().t);
  if (weight === null) t.delete(token);
  else t.set(token, weight);
  go({ t }, true);
}

/** @param {string} word */
export function forbid(word) {
  const { q, t } = read();
  const rest = new Map(t);
  rest.delete(word);
  go({ q: `${q} -${quoted(word)}`.trim(), t: rest, picture: "", view: "" });
}

/** @param {string} word */
export function addWord(word) {
  go({ q: `${read().q} ${quoted(word)}`.trim(), picture: "", view: "" });
}

/** @param {{token: string, weight: number, source: string}} word @param {number} largest */
function slider(word, largest) {
  const id = `weight-${word.token}`;
  const output = make("output", { for: id }, word.weight.toFixed(2));
  const input = /** @type {HTMLInputElement} */ (make("input", {
    type: "range", id, min: 0, max: largest, step: 0.05, value: word.weight, "data-token": word.token }));
  const set = calmly(() => weigh(word.token, Number(input.value)), 60);
  input.addEventListener("input", () => { output.textContent = Number(input.value).toFixed(2); set(); });
  return make("li", { class: word.source === "user" ? "mine" : "" },
    make("label", { for: id }, word.token), output,
    make("button", { type: "button", title: `Take ${word.token} out of the query`, "aria-label": `Take out ${word.token}`,
      onclick: () => weigh(word.token, 0) }, "×"),
    make("button", { type: "button", title: `No picture with ${word.token}`, "aria-label": `Forbid ${word.token}`,
      onclick: () => forbid(word.token) }, "⊘"),
    input);
}

/** @param {string} token */
const takenOut = (token) => make("li", { class: "out" }, make("label", {}, token), make("output", {}, "0"),
  make("button", { type: "button", "aria-label": `Put ${token} back`, title: "Put it back", onclick: () => weigh(token, null) }, "↺"));

/** Shows the words of a query as it was understood. @param {any} answer */
export function showQuery(answer) {
  const { t } = read();
  const words = answer.query.tokens;
  const largest = Math.max(3, Math.ceil((words[0]?.weight ?? 0) * 1.25));
  const shown = words.filter((/** @type {any} */ word, /** @type {number} */ at) => showsAll || at < FIRST || word.source === "user");
  const active = /** @type {HTMLElement | null} */ (document.activeElement);
  const out = [...t].filter(([token, weight]) => weight === 0 && !words.some((/** @type {any} */ word) => word.token === token));
  // A slider in hand must not be replaced while it is moved.
  const held = active?.closest("#sliders li");
  const items = shown.map((/** @type {any} */ word) => {
    if (!held || active?.dataset.token !== word.token) return slider(word, largest);
    held.className = word.source === "user" ? "mine" : "";
    return held;
  });
  sliders.replaceChildren(...items, ...out.map(([token]) => takenOut(token)));
  if (held?.isConnected) active?.focus();
  more.hidden = words.length <= FIRST;
  more.textContent = showsAll ? "Fewer words" : `All ${count(words.length)} words`;
  byId("reset-weights").hidden = t.size === 0;
  byId("command").textContent = command(answer);
}

/** The same on the command line. @param {any} answer */
function command(answer) {
  const { q, t, like, all, sort, table } = read();
  const weights = answer.query.tokens.map((/** @type {any} */ word) => [word.token, word.weight]);
  const operators = q.match(/(?:^|\s)(?:-(?:"[^"]*"|\S+)|(?:path|after|before|camera|size|near):(?:"[^"]*"|\S+))/g) ?? [];
  const text = t.size ? [JSON.stringify(Object.fromEntries(weights)), ...operators.map((part) => part.trim())].join(" ") : q;
  const options = [like && !t.size && ` --like ${like}`, all && " --all", sort && ` --sort ${sort}`, table && !t.size && " --query-mode table"];
  return `sightword search${options.filter(Boolean).join("")} -- '${text.replaceAll("'", "'\\''")}'`;
}

/** Words that stand out in the first hits. @param {{token: string}[]} refinements */
export function showChips(refinements) {
  const chips = byId("chips");
  chips.replaceChildren(...refinements.map(({ token }) => make("span", { class: "chip" },
    make("button", { type: "button", title: `Also ${token}`, onclick: () => addWord(token) }, `+ ${token}`),
    make("button", { type: "button", "aria-label": `Without ${token}`, title: `Without ${token}`, onclick: () => forbid(token) }, "−"))));
  chips.hidden = refinements.length === 0;
}

/** Brings the filters in line with the address. */
export function showFilters() {
  const { q, all, sort, table, rerank } = read();
  choose("folder", filter(q, "path").replace(/\/\*\*$/, ""));
  choose("camera", filter(q, "camera"));
  field("after").value = filter(q, "after");
  field("before").value = filter(q, "before");
  field("sort").value = sort;
  field("all").checked = all;
  field("table").checked = table;
  field("rerank").checked = rerank;
}

/** Chooses a value in a list, as a further one if it is not there. @param {string} id @param {string} value */
function choose(id, value) {
  const select = /** @type {HTMLSelectElement} */ (byId(id));
  if (value && ![...select.options].some((option) => option.value === value)) {
    select.append(make("option", { value }, value));
  }
  select.value = value;
}

async function loadFacets() {
  const { folders, cameras } = await api.facets();
  const fill = (/** @type {string} */ id, /** @type {any[]} */ values) =>
    byId(id).append(...values.map(({ value, images }) => make("option", { value }, `${value} (${count(images)})`)));
  fill("folder", folders);
  fill("camera", cameras);
  showFilters();
}

/** Explains the first picture whose path has a part. @param {Event} event */
async function whyNot(event) {
  event.preventDefault();
  const said = byId("why-not-said");
  const path = field("part").value.trim();
  try {
    const { hits } = await api.images(new URLSearchParams({ path, k: "1" }));
    said.textContent = hits.length ? "" : `No picture has “${path}” in its path.`;
    if (hits.length) go({ picture: hits[0].id });
  } catch (error) {
    said.textContent = /** @type {Error} */ (error).message;
  }
}

/** Sets the controls up. @param {any} info what runs on the server */
export function setUp(info) {
  byId("rerank-label").hidden = !info?.reranker;
  more.addEventListener("click", () => { showsAll = !showsAll; dispatchEvent(new Event("statechange")); });
  byId("reset-weights").addEventListener("click", () => go({ t: new Map() }));
  byId("why-not").addEventListener("submit", whyNot);
  byId("add-word").addEventListener("submit", (event) => {
    event.preventDefault();
    const word = field("new-word").value.trim().toLowerCase();
    if (word) weigh(word, 1);
    field("new-word").value = "";
  });
  field("new-word").addEventListener("input", calmly(async () => {
    const { words } = await api.vocabulary(field("new-word").value.trim(), 8);
    byId("known-words").replaceChildren(...words.map((/** @type {any} */ word) => make("option", { value: word.token })));
  }, 120));
  const filters = { folder: "path", camera: "camera", after: "after", before: "before" };
  for (const [id, name] of Object.entries(filters)) {
    field(id).addEventListener("change", () => {
      const value = field(id).value;
      go({ q: withFilter(read().q, name, value && name === "path" ? `${value}/**` : value) });
    });
  }
  field("sort").addEventListener("change", () => go({ sort: field("sort").value }));
  for (const id of /** @type {("all" | "table" | "rerank")[]} */ (["all", "table", "rerank"])) {
    field(id).addEventListener("change", () => go({ [id]: field(id).checked }));
  }
  byId("filters").addEventListener("toggle", () => loadFacets().catch(() => {}), { once: true });
  // On a phone the pictures come first.
  if (matchMedia("(max-width: 50rem)").matches) byId("weights").removeAttribute("open");
}
