// What the pages of arrivals are made of, beside what every page is.

import { element } from "../page.js";

/** What somebody sent: isolated, so that it cannot turn the text around it. */
export function sent(text) {
  return element("bdi", {}, text);
}

/** An element of SVG. */
export function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A number as people read it. */
export const grouped = new Intl.NumberFormat("en").format;
