// @ts-check
// Makes elements. Text always goes in as text: names of files and words are not to be trusted.

/** @param {string} id */
export const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** The input with an id. @param {string} id */
export const field = (id) => /** @type {HTMLInputElement} */ (byId(id));

/**
 * An element with attributes and children; `onclick` and its like become listeners.
 * @param {string} name @param {Record<string, any>} [attributes] @param {(Node | string)[]} children
 */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, String(value));
  }
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** The same for pictures made of shapes. @param {string} name @param {Record<string, any>} attributes */
export function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

/** `1 234` @param {number} number */
export const count = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");

/** `1 picture`, `2 pictures` @param {number} number @param {string} one @param {string} many */
export const counted = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;

/** `86%` @param {number} share */
export const percent = (share) => `${Math.round(share * 100)}%`;

/** Calls `act` once, when no call has come for some milliseconds. @param {() => void} act @param {number} pause */
export function calmly(act, pause) {
  /** @type {number | undefined} */
  let timer;
  return () => {
    clearTimeout(timer);
    timer = window.setTimeout(act, pause);
  };
}
