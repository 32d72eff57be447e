// The newest arrivals as rows of a table, never more than so many.

import { badge, element } from "./page.js";
import { sent } from "./elements.js";
import { showDetails } from "./live_details.js";

const SHOWN = 200;

const body = document.getElementById("arrivals");
const waiting = document.getElementById("waiting");

// By their key; Postgres's order, the newest first.
const shown = new Map();
let pending = [];
let drawing = false;

const keyOf = ({ status, id }) => `${status} ${id}`;
const placeOf = ({ stored_at: storedAt, id }) => storedAt + id;
const newest = (rows) =>
  rows.sort((one, other) => (placeOf(one) < placeOf(other) ? 1 : -1)).slice(0, SHOWN);

/** Take rows to be shown with the next picture; returns how many were not known. */
export function takeRows(rows) {
  const known = new Set([...shown.keys(), ...pending.map(keyOf)]);
  const fresh = rows.filter((row) => !known.has(keyOf(row)));
  pending = newest(pending.concat(fresh));
  return fresh.length;
}

/** Show what was taken, before the next picture. */
export function showRows() {
  if (drawing || pending.length === 0) return;
  drawing = true;
  requestAnimationFrame(draw);
}

function draw() {
  drawing = false;
  const rows = newest([...shown.values(), ...pending]);
  pending = [];
  const kept = new Set(rows.map(keyOf));
  for (const [key, row] of shown) {
    if (kept.has(key)) continue;
    row.line.remove();
    shown.delete(key);
  }
  let place = body.firstChild;
  for (const row of rows) {
    if (row.line === place && place !== null) {
      place = place.nextSibling;
      continue;
    }
    row.line ??= lineOf(row);
    shown.set(keyOf(row), row);
    body.insertBefore(row.line, place);
  }
  waiting.hidden = rows.length > 0;
}

function lineOf(row) {
  const at = new Date(row.stored_at);
  const button = element("button", { type: "button" }, timeOf(at));
  const remarks = [row.reason, ...row.warnings].filter(Boolean);
  const line = element("tr", { "data-id": row.id },
    element("td", { title: row.stored_at }, button),
    element("td", {}, badge(row.status)),
    ...[row.event, row.source, row.user_id, row.group_id].map((value) =>
      element("td", {}, value === null ? "" : sent(value))),
    element("td", {}, remarks.join(", ")));
  line.addEventListener("click", () => showDetails(row));
  return line;
}

function timeOf(at) {
  const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  return `${time}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}
