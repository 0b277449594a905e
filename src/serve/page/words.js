// @ts-check
// The words of all pictures.

import * as api from "./api.js";
import { byId, calmly, count, counted, make } from "./dom.js";
import { address, quoted, read } from "./state.js";

const section = byId("words");
/** Words that are shown. */
const SHOWN = 500;

/** @param {string} token */
const searchFor = (token) => address({ ...read(), q: quoted(token), t: new Map(), like: "", view: "", picture: "" });

export async function show() {
  const list = make("ul");
  const said = make("p", { role: "status", class: "soft" });
  const input = /** @type {HTMLInputElement} */ (make("input", { type: "search", id: "prefix", autocapitalize: "off", autocomplete: "off" }));
  const load = async () => {
    const { words, total } = await api.vocabulary(input.value.trim(), SHOWN);
    said.textContent = total > SHOWN ? `The ${SHOWN} most frequent of ${count(total)} words` : counted(total, "word", "words");
    list.replaceChildren(...words.map((/** @type {any} */ word) => make("li", {},
      make("a", { href: searchFor(word.token), "data-link": true }, word.token), " ",
      make("span", { class: "count" }, counted(word.images, "picture", "pictures")))));
  };
  input.addEventListener("input", calmly(() => load().catch(() => {}), 150));
  section.replaceChildren(make("h1", { id: "words-title", tabindex: "-1" }, "Words of your pictures"),
    make("label", { for: "prefix" }, "That begin with "), input, said, list);
  section.hidden = false;
  document.title = "Words – sightword";
  await load();
}
