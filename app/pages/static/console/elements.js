// Elements of the console.

import { element } from "../page.js";

/** Text of a payload, isolated so that it cannot change the direction of other text. */
export function sent(text) {
  return element("bdi", {}, text);
}

/** Create an SVG element. */
export function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Format a number with separators. */
export const grouped = new Intl.NumberFormat("en").format;

/** Show what is wrong in the notice of the page; without a text, hide it. */
export function explain(text) {
  const trouble = document.getElementById("trouble");
  trouble.hidden = text === "";
  if (trouble.textContent !== text) trouble.textContent = text;
}
