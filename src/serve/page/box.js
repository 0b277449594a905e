// @ts-check
// The search box: suggestions while typing, and a picture that is chosen, dropped or pasted.

import * as api from "./api.js";
import { byId, calmly, count, field, make } from "./dom.js";
import { go } from "./state.js";

const input = field("q");
const list = byId("suggestions");
let chosen = -1;
/** @type {AbortController | undefined} */
let asking;

/** The word at the cursor: where it begins, and what of it is typed. */
function wordAtCursor() {
  const end = input.selectionStart ?? input.value.length;
  const start = input.value.slice(0, end).search(/[\p{L}\p{N}]*$/u);
  return { start, end, word: input.value.slice(start, end).toLowerCase() };
}

async function suggest() {
  asking?.abort();
  const { word } = wordAtCursor();
  if (word.length < 2) return close();
  asking = new AbortController();
  try {
    const { words } = await api.vocabulary(word, 8, asking.signal);
    show(words.filter((/** @type {{token: string}} */ found) => found.token !== word));
  } catch {
    close(); // Suggestions are a help, not a need.
  }
}

/** @param {{token: string, images: number}[]} words */
function show(words) {
  chosen = -1;
  list.replaceChildren(...words.map((word, at) => make("li",
    { role: "option", id: `suggestion-${at}`, "aria-selected": "false",
      onmousedown: (/** @type {Event} */ event) => { event.preventDefault(); take(word.token); } },
    word.token, make("span", { class: "soft" }, count(word.images)))));
  list.hidden = words.length === 0;
  input.setAttribute("aria-expanded", String(!list.hidden));
}

function close() {
  list.hidden = true;
  chosen = -1;
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
}

/** @param {number} step */
function move(step) {
  const options = [...list.children];
  options[chosen]?.setAttribute("aria-selected", "false");
  chosen = (chosen + step + options.length + (chosen < 0 && step < 0 ? 1 : 0)) % options.length;
  options[chosen].setAttribute("aria-selected", "true");
  options[chosen].scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-activedescendant", options[chosen].id);
}

/** @param {string} token */
function take(token) {
  const { start, end } = wordAtCursor();
  input.setRangeText(token, start, end, "end");
  close();
}

/** @param {KeyboardEvent} event */
function key(event) {
  if (list.hidden || event.isComposing) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    move(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Escape") {
    event.preventDefault();
    close();
  } else if (event.key === "Enter" && chosen >= 0) {
    event.preventDefault();
    take(list.children[chosen].firstChild?.textContent ?? "");
  }
}

/** Sets the box up. @param {(file: File) => void} onPicture is given a picture to search by */
export function setUp(onPicture) {
  input.addEventListener("input", calmly(suggest, 120));
  input.addEventListener("keydown", key);
  input.addEventListener("blur", close);
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    asking?.abort();
    close();
    // Weights were set for the words that stood there before.
    go({ q: input.value.trim(), t: new Map(), like: "", picture: "", view: "" });
  });
  const chooser = field("file");
  byId("by-picture").addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    if (chooser.files?.[0]) onPicture(chooser.files[0]);
    chooser.value = "";
  });
  addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find(isPicture);
    if (file) onPicture(file);
  });
  const veil = byId("drop");
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) veil.hidden = true;
  });
  addEventListener("drop", (event) => {
    veil.hidden = true;
    const file = [...(event.dataTransfer?.files ?? [])].find(isPicture);
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    if (file) onPicture(file);
  });
}

/** @param {File} file */
const isPicture = (file) => file.type.startsWith("image/");

/** The bytes of a file, in base64. @param {File} file @returns {Promise<string>} */
export function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ""));
    reader.onerror = () => reject(new Error(`${file.name} cannot be read`));
    reader.readAsDataURL(file);
  });
}
