// One row, whole, in a dialog.

import { codeBlock, element } from "./page.js";
import { sent } from "./elements.js";
import { layOut } from "./json_layout.js";

const KINDS = {
  stored: { title: "Stored event", path: "/v1/events/", sql: "event_ids JOIN events USING (id, stored_at)" },
  rejected: { title: "Rejected event", path: "/v1/rejected/", sql: "rejected_events" },
};
// Shown in a way of their own.
const APART = ["properties", "context", "payload", "errors", "warnings"];

const dialog = document.getElementById("details");
const title = document.getElementById("details-title");
const body = document.getElementById("details-body");

let asked = 0;

/** Show a row of either kind. */
export async function showDetails({ status, id }) {
  const number = (asked += 1);
  const kind = KINDS[status];
  title.textContent = kind.title;
  body.replaceChildren(element("p", { class: "muted" }, "Reading it …"));
  if (!dialog.open) dialog.showModal();
  const found = await read(kind.path + encodeURIComponent(id), kind);
  if (number === asked) body.replaceChildren(...found);
}

async function read(path, kind) {
  try {
    const response = await fetch(path, { headers: { accept: "application/json" } });
    const text = await response.text();
    return response.ok ? lay(text, kind) : [trouble(JSON.parse(text).detail)];
  } catch {
    return [trouble("The row could not be read; close this and try again.")];
  }
}

function trouble(text) {
  return element("div", { class: "notice notice-error", role: "alert" }, text);
}

function lay(text, kind) {
  const row = JSON.parse(text);
  const facts = element("dl", { class: "facts" });
  for (const [name, value] of Object.entries(row)) {
    if (!APART.includes(name)) facts.append(element("dt", {}, name), fact(value));
  }
  // What was parsed may have lost digits; the text has not.
  const whole = row.payload === undefined
    ? codeBlock(layOut(text), "The row as stored")
    : codeBlock(layOut(row.payload), row.truncated ? "The first 128 KiB of what was sent" : "What was sent");
  return [
    ...remarks(row.errors, "error", "Why it was rejected"),
    ...remarks(row.warnings, "warning", "What was assumed or repaired"),
    facts,
    whole,
    codeBlock(`SELECT * FROM ${kind.sql}\nWHERE id = '${row.id}';`, "SQL that finds it"),
  ];
}

function fact(value) {
  return element("dd", {},
    value === null ? element("span", { class: "muted" }, "none") : sent(String(value)));
}

function remarks(found, kind, heading) {
  if (!found || found.length === 0) return [];
  const items = found.map(({ code, path, message }) => {
    const place = path ? [" at ", element("code", {}, sent(path))] : [];
    return element("li", {}, element("code", {}, code), ...place, ": ", sent(message));
  });
  return [element("div", { class: `notice notice-${kind}` },
    element("strong", {}, heading), element("ul", {}, ...items))];
}

dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
