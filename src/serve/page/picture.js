// @ts-check
// The page of one picture: why it matches, where each word is, all its words, pictures like it.

import * as api from "./api.js";
import { byId, count, make, percent, shape } from "./dom.js";
import { card } from "./results.js";
import { address, addressWith, body, isQuery, quoted, read } from "./state.js";
import { addWord } from "./steer.js";

const section = byId("picture");
/** Words of the picture that are named at first. */
const NAMED = 40;

/** The picture under a grid on which patches can be lit. */
class View {
  /** @param {any} picture @param {number} grid */
  constructor(picture, grid) {
    this.id = picture.id;
    this.overlay = shape("svg", { viewBox: `0 0 ${grid} ${grid}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    const scale = Math.min(1, 1024 / Math.max(picture.width, picture.height));
    const image = make("img", { src: api.thumbnail(picture.id, 1024), alt: picture.path,
      width: Math.round(picture.width * scale), height: Math.round(picture.height * scale) });
    image.style.height = "auto";
    this.element = make("div", { class: "view" }, image);
    this.element.append(this.overlay);
    this.caption = make("p", { class: "soft", role: "status" });
    /** @type {string} */
    this.heated = "";
  }

  /** @param {number[][]} patches rows and columns */
  light(patches) {
    this.overlay.querySelectorAll(".lit").forEach((lit) => lit.remove());
    this.overlay.append(...patches.map(([row, column]) => shape("rect", { class: "lit", x: column, y: row, width: 1, height: 1 })));
  }

  /** Leaves bright what shows a word, and darkens the rest; the same word again ends it. @param {string} token @returns {Promise<boolean>} whether it is shown now */
  async heat(token) {
    this.overlay.querySelectorAll(".heat").forEach((hot) => hot.remove());
    this.caption.textContent = "";
    this.heated = this.heated === token ? "" : token;
    if (!this.heated) return false;
    this.caption.textContent = `Looking for ${token} …`;
    try {
      const { weights, source } = await api.heatmap(this.id, token);
      if (this.heated !== token) return false;
      const strongest = Math.max(0.01, ...weights.flat());
      weights.forEach((/** @type {number[]} */ line, /** @type {number} */ y) => line.forEach((weight, x) =>
        this.overlay.prepend(shape("rect", { class: "heat", x, y, width: 1, height: 1, "fill-opacity": (0.8 - 0.8 * weight / strongest).toFixed(3) }))));
      const from = source === "thumbnail" ? ", from the small copy, since the picture’s disk is not there" : "";
      this.caption.textContent = `The brighter a part, the more it shows ${token}: at most ${strongest.toFixed(2)}${from}.`;
      return true;
    } catch (error) {
      this.heated = "";
      this.caption.textContent = `No heat map: ${/** @type {Error} */ (error).message}`;
      return false;
    }
  }
}

/** A word as a button that lights its patches, and shows its heat map when pressed.
 * @param {View} view @param {any} term @param {(Node | string)[]} inside */
function wordButton(view, term, ...inside) {
  const patches = term.patches?.length ? term.patches : term.patch ? [term.patch] : [];
  const light = () => view.light(patches);
  const dim = () => view.light([]);
  const button = make("button", { type: "button", "aria-pressed": "false", "data-token": term.token, onmouseenter: light,
    onfocus: light, onmouseleave: dim, onblur: dim, title: "Show where it is" }, ...inside);
  button.addEventListener("click", async () => {
    section.querySelectorAll("[aria-pressed=true]").forEach((other) => other.setAttribute("aria-pressed", "false"));
    button.setAttribute("aria-pressed", String(await view.heat(term.token)));
  });
  return button;
}

/** The rows that make the score, and their sum. @param {View} view @param {any} explained */
function sum(view, explained) {
  const largest = Math.max(...explained.terms.map((/** @type {any} */ term) => term.product), 0.01);
  const row = (/** @type {any} */ term) => {
    const bar = make("i");
    bar.style.width = `${(100 * term.product) / largest}%`;
    return make("tr", {}, make("td", { class: "word" }, wordButton(view, term, bar, make("span", {}, term.token))),
      ...[term.q, term.d, term.product].map((number) => make("td", { class: "number" }, number.toFixed(2))));
  };
  const heads = ["Word", "Query", "Picture", "Product"];
  return make("table", { class: "sum" },
    make("caption", { class: "unseen" }, "Words that query and picture share; the products add up to the score"),
    make("thead", {}, make("tr", {}, ...heads.map((head, at) => make("th", { scope: "col", class: at ? "number" : "" }, head)))),
    make("tbody", {}, ...explained.terms.map(row)),
    make("tfoot", {}, make("tr", {}, make("th", { scope: "row", colspan: 3 }, "Score"),
      make("td", { class: "number", id: "score" }, explained.score.toFixed(2)))));
}

/** Whether and why the picture is a hit, in words. @param {any} explained */
function standing(explained) {
  const reasons = [...explained.excluded_by.map((/** @type {string} */ word) => `it is excluded by “${word}”`),
    ...explained.filtered_by.map((/** @type {string} */ filter) => `the filter ${filter} leaves it out`)];
  const covers = `covers ${percent(explained.coverage)} of the query, ${percent(explained.threshold)} are needed`;
  if (reasons.length) return `Not found: ${reasons.join(" and ")}.`;
  if (explained.rank === null) return "Not found: it shares no word with the query.";
  if (explained.coverage < explained.threshold) return `Not found: it ${covers}. It would be number ${count(explained.rank)}.`;
  return `Number ${count(explained.rank)} of ${count(explained.matched)}; it ${covers}.`;
}

/** @param {View} view @param {any} explained */
function why(view, explained) {
  const missing = explained.missing.slice(0, 12).map((/** @type {any} */ word) => word.token).join(", ");
  return make("div", { id: "why" }, make("h3", {}, "Why"), make("p", {}, standing(explained)),
    explained.terms.length ? sum(view, explained) : "",
    missing ? make("p", {}, make("strong", {}, "Not in the picture: "), missing) : "");
}

/** All its words, those that the query lacks marked so. @param {View} view @param {any[]} tokens @param {Set<string>} asked */
function bag(view, tokens, asked) {
  const rest = tokens.filter((word) => !asked.has(word.token));
  const list = make("div", { class: "bag", id: "bag" });
  const fill = (/** @type {number} */ most) => list.replaceChildren(...rest.slice(0, most).map((word) =>
    wordButton(view, word, `${word.token} ${word.weight.toFixed(1)}`)));
  fill(NAMED);
  const all = make("button", { type: "button", onclick: () => { fill(rest.length); all.remove(); } }, `All ${rest.length} words`);
  return make("div", {}, make("h3", {}, asked.size ? "In the picture, not in the query" : "Words of this picture"), list, rest.length > NAMED ? all : "");
}

/** @param {any} picture */
function facts(picture) {
  const rows = [["File", picture.path], ...picture.copies.map((/** @type {string} */ path) => ["Copy", path]),
    ["Size", `${picture.width} × ${picture.height}, ${count(Math.ceil(picture.bytes / 1000))} kB`],
    ["Taken", picture.taken === null ? "" : new Date(picture.taken * 1000).toISOString().slice(0, 16).replace("T", " ")],
    ["Camera", picture.camera ?? ""], ["Id", picture.id],
    ["Disk", picture.available ? "" : "its file is not there now"]];
  return make("dl", {}, ...rows.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

/** Shows the page of the picture in the address. @returns {Promise<void>} */
export async function show() {
  const state = read();
  const asks = isQuery(state);
  const [picture, { tokens, grid }, explained] = await Promise.all([api.picture(state.picture), api.tokens(state.picture),
    asks ? api.explain({ ...body(state), id: state.picture }) : null]);
  if (read().picture !== state.picture) return;
  const view = new View(picture, grid);
  const asked = new Set((explained?.terms ?? []).map((/** @type {any} */ term) => term.token));
  const heaviest = tokens.filter((/** @type {any} */ word) => /^[a-z]/.test(word.token)).slice(0, 5);
  const likes = make("ol", { class: "strip" });
  section.replaceChildren(
    make("p", { class: "actions" },
      make("a", { class: "button", href: addressWith({ picture: "" }), "data-link": true }, asks ? "← Back to the results" : "← Back"),
      make("a", { class: "button", href: address({ ...state, q: "", t: new Map(), like: picture.id, picture: "" }), "data-link": true }, "Search for pictures like it")),
    make("h1", { id: "picture-title", tabindex: "-1" }, picture.path),
    make("div", { class: "columns" },
      make("div", {}, view.element, view.caption),
      make("div", {}, explained ? why(view, explained) : "", bag(view, tokens, asked),
        make("h3", {}, asks ? "Add one of its words" : "Search for one of its words"),
        make("div", { class: "bag" }, ...heaviest.map((/** @type {any} */ word) =>
          make("button", { type: "button", onclick: () => addWord(word.token) }, `+ ${quoted(word.token)}`))),
        make("h3", {}, "Facts"), facts(picture))),
    make("h2", {}, "Similar pictures"), likes);
  section.hidden = false;
  document.title = `${picture.path} – sightword`;
  byId("picture-title").focus({ preventScroll: true });
  const { hits } = await api.similar(state.picture);
  likes.replaceChildren(...hits.map(card));
}
