// @ts-check
// The grid of pictures.

import * as api from "./api.js";
import { byId, make, percent } from "./dom.js";
import { addressWith } from "./state.js";

const grid = byId("grid");

/** What a hit looks like to those who cannot see it. @param {any} hit */
function described(hit) {
  const words = (hit.terms ?? []).slice(0, 3).map((/** @type {any} */ term) => term.token).join(", ");
  return words ? `${hit.path}: ${words}` : hit.path;
}

/** A picture that leads to its page. @param {any} hit */
export function card(hit) {
  const frame = make("span", { class: "frame" });
  frame.append(make("img", { src: api.thumbnail(hit.id, 256), alt: described(hit), loading: "lazy", decoding: "async",
    width: 256, height: 256, onerror: () => frame.classList.add("gone") }));
  const link = make("a", { class: "card", href: addressWith({ picture: hit.id, view: "" }), "data-link": true, "data-id": hit.id }, frame);
  if (hit.score !== undefined) link.append(make("p", { class: "numbers" },
    make("span", { title: "Score" }, `${hit.score.toFixed(2)}${moved(hit)}`),
    make("span", { title: "Share of the query that the picture covers" }, percent(hit.coverage))));
  link.append(make("p", { class: "tops" }, (hit.terms ?? []).slice(0, 3).map(
    (/** @type {any} */ term) => `${term.token} ${term.product.toFixed(1)}`).join(" · ") || hit.path));
  return make("li", {}, link);
}

/** Where a hit stood before the second look. @param {any} hit */
function moved(hit) {
  const { sparse, rerank } = hit.stages ?? {};
  return rerank ? `  ${rerank.rank}. (was ${sparse.rank}.)` : "";
}

/** Shows hits instead of, or behind, those that stand there. @param {any[]} hits @param {boolean} behind */
export function show(hits, behind) {
  if (behind) return grid.append(...hits.map(card));
  // What stays keeps its element, so that its picture does not flicker while a slider moves.
  const old = new Map([...grid.children].map((item) => [item.querySelector("a")?.dataset.id, item]));
  grid.replaceChildren(...hits.map((hit) => {
    const fresh = card(hit);
    const before = old.get(hit.id)?.querySelector(".frame");
    if (before) fresh.querySelector(".frame")?.replaceWith(before);
    return fresh;
  }));
}

/** Arrow keys go from picture to picture. @param {KeyboardEvent} event */
function key(event) {
  const links = [...grid.querySelectorAll("a")];
  const at = links.indexOf(/** @type {any} */ (document.activeElement));
  const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
  if (at < 0 || !step) return;
  event.preventDefault();
  links[at + step]?.focus();
}

grid.addEventListener("keydown", key);
