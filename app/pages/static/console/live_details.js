// Dialog with all fields of one row.

import { codeBlock, element, sqlBlock } from "../page.js";
import { sent } from "./elements.js";
import { layOut } from "../json_layout.js";

// Objects and lists are in the text of the row.
const isListed = (name, value) => name !== "payload" && (value === null || typeof value !== "object");

const dialog = document.getElementById("details");
const title = document.getElementById("details-title");
const body = document.getElementById("details-body");

let requests = 0;

/** Show a stored or rejected event. */
export async function showDetails({ status, id }) {
  const number = (requests += 1);
  const isRejected = status === "rejected";
  title.textContent = isRejected ? "Rejected event" : "Stored event";
  body.replaceChildren(element("p", { class: "muted" }, "Loading …"));
  if (!dialog.open) dialog.showModal();
  const found = await read(`/v1/${isRejected ? "rejected" : "events"}/${encodeURIComponent(id)}`, status);
  if (number === requests) body.replaceChildren(...found);
}

async function read(path, status) {
  try {
    const response = await fetch(path, { headers: { accept: "application/json" } });
    const text = await response.text();
    return response.ok ? layOutRow(text, status) : [trouble(JSON.parse(text).detail)];
  } catch {
    return [trouble("The row could not be loaded. Close this dialog and try again.")];
  }
}

function trouble(text) {
  return element("div", { class: "notice notice-error", role: "alert" }, text);
}

function layOutRow(text, status) {
  const row = JSON.parse(text);
  const facts = element("dl", { class: "facts" });
  for (const [name, value] of Object.entries(row)) {
    if (isListed(name, value)) facts.append(element("dt", {}, name), fact(value));
  }
  // Parsed numbers may have lost digits, so the text is shown.
  const whole = row.payload === undefined
    ? codeBlock(layOut(text), "Row as stored")
    : codeBlock(layOut(row.payload), row.truncated ? "First 128 KiB of the payload" : "Payload");
  return [
    ...issues(row.errors, "error", "Errors"),
    ...issues(row.warnings, "warning", "Warnings"),
    facts,
    ...(row.payload === undefined ? [] : [element("p", {}, element("a", { href: `/rejected/${row.id}` }, "Open, correct or replay this event"))]),
    whole,
    sqlBlock(status, row.id),
  ];
}

function fact(value) {
  return element("dd", {},
    value === null ? element("span", { class: "muted" }, "none") : sent(String(value)));
}

function issues(found, kind, heading) {
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
