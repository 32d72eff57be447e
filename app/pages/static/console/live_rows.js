// The newest arrivals as rows of a table, at most 200.

import { badge, element } from "../page.js";
import { sent } from "./elements.js";
import { showDetails } from "./live_details.js";

const SHOWN = 200;

const body = document.getElementById("arrivals");
const waiting = document.getElementById("waiting");

// Rows by key, newest first as Postgres orders them.
const shown = new Map();
let pending = [];
let drawing = false;

const keyOf = ({ status, id }) => `${status} ${id}`;
const orderOf = ({ stored_at: storedAt, id }) => storedAt + id;
const newest = (rows) =>
  rows.sort((one, other) => (orderOf(one) < orderOf(other) ? 1 : -1)).slice(0, SHOWN);

/** Take rows for the next frame; returns how many are new. */
export function takeRows(rows) {
  const known = new Set([...shown.keys(), ...pending.map(keyOf)]);
  const fresh = rows.filter((row) => !known.has(keyOf(row)));
  pending = newest(pending.concat(fresh));
  return fresh.length;
}

/** Show the rows taken so far in the next frame, then call back with their number. */
export function showRows(done) {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    draw();
    done(shown.size);
  });
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
  const button = element("button", { type: "button" }, clock(row.stored_at));
  const issues = [row.reason, ...row.warnings].filter(Boolean);
  const line = element("tr", { "data-id": row.id },
    element("td", { title: row.stored_at }, button),
    element("td", {}, badge(row.status)),
    ...[row.event, row.source, row.user_id, row.group_id].map((value) =>
      element("td", {}, value === null ? "" : sent(value))),
    element("td", {}, issues.join(", ")));
  line.addEventListener("click", () => showDetails(row));
  return line;
}

/** Time of day in UTC with milliseconds. */
function clock(instant) {
  return new Date(instant).toISOString().slice(11, 23);
}
