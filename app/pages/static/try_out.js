// Try it out: sends what is in the editor to /track, and shows the verdict.

import { editor } from "./editor.js";
import { layOut } from "./json_layout.js";
import { placesIn } from "./json_places.js";
import { announce, badge, codeBlock, element, prose } from "./page.js";

const MOST_SHOWN = 50;
const SQL = {
  stored: (id) =>
    "SELECT e.*\nFROM event_ids AS i\n" +
    "JOIN events AS e ON e.stored_at = i.stored_at AND e.id = i.id\n" +
    `WHERE i.id = '${id}';`,
  rejected: (id) => `SELECT *\nFROM rejected_events\nWHERE id = '${id}';`,
};

const form = document.getElementById("try");
const body = document.getElementById("body");
const key = document.getElementById("key");
const verdict = document.getElementById("verdict");
const lines = editor(body, form.querySelector(".gutter"));

/** One error or warning, with the line that it is about. */
function remark({ kind, code, message, path, line, text }) {
  const jump = element("button", { type: "button", class: "quiet" }, `line ${line}`);
  jump.addEventListener("click", () => lines.select(line));
  const why = document.getElementById(`${kind}-${code}`)
    ? element("a", { href: `#${kind}-${code}` }, code)
    : code;
  return element(
    "li",
    { class: `remark remark-${kind}` },
    element("p", {}, badge(kind), " ", element("code", {}, why), " ", jump),
    element("p", {}, ...prose(message)),
    element(
      "pre",
      { tabindex: "0", "aria-label": `Line ${line}` },
      element("span", { class: "number" }, `${line} `),
      element("code", {}, text.split("\n")[line - 1] ?? ""),
    ),
    ...(path ? [element("p", { class: "muted" }, "at ", element("code", {}, path))] : []),
  );
}

/** The row, asked for when it is wanted; only who may read is shown it. */
function row(result) {
  const kind = result.status === "rejected" ? "rejected" : "events";
  const place = element("div", {});
  const details = element(
    "details",
    { class: "row" },
    element("summary", {}, kind === "events" ? "The row as stored" : "What is kept of it"),
    place,
  );
  const load = async () => {
    const response = await fetch(`/v1/${kind}/${result.id}`, { cache: "no-store" });
    const text = await response.text();
    if (response.ok) {
      place.replaceChildren(codeBlock(layOut(text), "Row, as JSON"));
    } else if (response.status === 401) {
      const next = encodeURIComponent(form.dataset.next);
      place.replaceChildren(element(
        "p",
        { class: "notice" },
        element("a", { href: `/sign-in?next=${next}` }, "Sign in"),
        " with a read key, then send it again: only who may read is shown what is stored.",
      ));
    } else {
      place.replaceChildren(element("p", { class: "notice" }, `It cannot be shown now (${response.status}).`));
    }
  };
  details.addEventListener("toggle", () => {
    if (details.open && !place.hasChildNodes()) {
      place.append("Asking …");
      load().catch(() => place.replaceChildren("The service did not answer."));
    }
  });
  return details;
}

/** Where it is: the row, and the SQL that finds it. */
function whereabouts(result) {
  if (!result.id) return [];
  if (result.kept === false) {
    return [element("p", {}, "It is kept nowhere: the quarantine of this source is full.")];
  }
  const sql = SQL[result.status] ?? SQL.stored;
  return [row(result), codeBlock(sql(result.id), "SQL that finds it")];
}

function resultSection(result, { remarks, isDry, isSole }) {
  const title = isSole ? [] : [`Event ${result.index + 1} `];
  const mine = remarks.filter(({ index }) => index === result.index);
  return element(
    "section",
    { class: "result" },
    element("h4", {}, ...title, badge(result.status)),
    ...(result.timestamp ? [element("p", { class: "muted" }, "Happened at ", element("code", {}, result.timestamp))] : []),
    ...(mine.length ? [element("ul", { class: "remarks" }, ...mine.map(remark))] : []),
    ...(isDry ? [] : whereabouts(result)),
  );
}

/** Errors and warnings of all events, each with its line. */
function remarksOf(results, text) {
  const lineOf = placesIn(text);
  return results.flatMap(({ index, errors = [], warnings = [] }) =>
    [...errors.map((one) => ["error", one]), ...warnings.map((one) => ["warning", one])].map(
      ([kind, one]) => ({ ...one, kind, index, text, line: lineOf(index, one.path) }),
    ),
  );
}

function said({ dry_run: isDry, results }) {
  if (isDry) return "A check: nothing was stored.";
  return results.some(({ status }) => status === "buffered")
    ? "On the disk of the service before this answer: it becomes a row once Postgres is back."
    : "Committed before this answer.";
}

function showResults(answer, text) {
  const isDry = answer.dry_run === true;
  const shown = answer.results.slice(0, MOST_SHOWN);
  const remarks = remarksOf(shown, text);
  const isSole = answer.results.length === 1;
  verdict.replaceChildren(
    element("h3", {}, answer.message),
    element("p", { class: "muted" }, said(answer)),
    ...shown.map((result) => resultSection(result, { remarks, isDry, isSole })),
  );
  if (shown.length < answer.results.length) {
    verdict.append(element("p", {}, `${answer.results.length - shown.length} more are not shown.`));
  }
  lines.mark(remarks);
  verdict.querySelector("details.row")?.setAttribute("open", "");
  const count = (kind) => remarks.filter((one) => one.kind === kind).length;
  announce(`${answer.message}. Errors: ${count("error")}, warnings: ${count("warning")}.`);
}

/** The whole request was refused; where the text is at fault, the answer says where. */
function showRefusal({ title, detail, code }, text) {
  const found = /at line (\d+), column (\d+)/.exec(detail);
  const about = { kind: "error", code, message: detail, path: "", text };
  verdict.replaceChildren(element("h3", {}, title));
  if (found) {
    const line = Number(found[1]);
    verdict.append(element("ul", { class: "remarks" }, remark({ ...about, line })));
    lines.mark([{ ...about, line }]);
    lines.select(line, Number(found[2]));
  } else {
    verdict.append(element("p", { class: "notice notice-error" }, element("code", {}, code), " ", detail));
    lines.mark([]);
  }
  announce(`${title}. ${detail}`);
}

async function send(isDry) {
  const text = body.value;
  const response = await fetch(isDry ? "/track?dry_run=true" : "/track", {
    method: "POST",
    headers: {
      Authorization: `Bearer ${key.value.trim()}`,
      "Content-Type": "application/json",
    },
    body: text,
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
  });
  const answer = await response.json();
  if (answer.results) showResults(answer, text);
  else showRefusal(answer, text);
}

let isSending = false;
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (isSending) return;
  isSending = true;
  verdict.setAttribute("aria-busy", "true");
  try {
    await send(event.submitter?.value === "check");
  } catch {
    showRefusal({ title: "No answer", code: "no_answer", detail: "The service did not answer; whether the event is in is unknown. To send it again is safe." }, body.value);
  } finally {
    isSending = false;
    verdict.removeAttribute("aria-busy");
  }
});

document.getElementById("reset").addEventListener("click", () => {
  body.value = body.defaultValue;
  lines.mark([]);
});
form.querySelector("fieldset").disabled = false;
