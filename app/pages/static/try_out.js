// Try it out: sends the text of the editor to /track and shows the result.

import { editor } from "./editor.js";
import { layOut } from "./json_layout.js";
import { announce, badge, codeBlock, element, sqlBlock } from "./page.js";
import { issueItem, issuesOf } from "./verdict.js";

const MOST_SHOWN = 50;

const form = document.getElementById("try");
const body = document.getElementById("body");
const key = document.getElementById("key");
const verdict = document.getElementById("verdict");
const lines = editor(body, form.querySelector(".gutter"));

/** The stored row, loaded when it is opened; only a signed-in reader sees it. */
function row(result) {
  const kind = result.status === "rejected" ? "rejected" : "events";
  const place = element("div", {});
  const details = element(
    "details",
    { class: "row" },
    element("summary", {}, kind === "events" ? "Row as stored" : "Row in quarantine"),
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
        " with a read key, then send the event again: only readers see stored events.",
      ));
    } else {
      place.replaceChildren(element("p", { class: "notice" }, `The row could not be loaded (${response.status}).`));
    }
  };
  details.addEventListener("toggle", () => {
    if (details.open && !place.hasChildNodes()) {
      place.append("Loading …");
      load().catch(() => place.replaceChildren("The service did not respond."));
    }
  });
  return details;
}

/** The row and the SQL that finds it. */
function rowAndSql(result) {
  if (!result.id) return [];
  if (result.kept === false) {
    return [element("p", {}, "It is not kept: the quarantine of this source is full.")];
  }
  return [row(result), sqlBlock(result.status, result.id)];
}

function resultSection(result, { issues, isDry, isOnly }) {
  const title = isOnly ? [] : [`Event ${result.index + 1} `];
  const own = issues.filter(({ index }) => index === result.index);
  return element(
    "section",
    { class: "result" },
    element("h4", {}, ...title, badge(result.status)),
    ...(result.timestamp ? [element("p", { class: "muted" }, "Timestamp ", element("code", {}, result.timestamp))] : []),
    ...(own.length ? [element("ul", { class: "issues" }, ...own.map((issue) => issueItem(issue, lines)))] : []),
    ...(isDry ? [] : rowAndSql(result)),
  );
}

function explanation({ dry_run: isDry, results }) {
  if (isDry) return "This was a check. Nothing was stored.";
  return results.some(({ status }) => status === "buffered")
    ? "Written to the disk of the service. It becomes a row once Postgres responds again."
    : "Committed in Postgres.";
}

function showResults(answer, text) {
  const isDry = answer.dry_run === true;
  const shown = answer.results.slice(0, MOST_SHOWN);
  const issues = issuesOf(shown, text);
  const isOnly = answer.results.length === 1;
  verdict.replaceChildren(
    element("h3", {}, answer.message),
    element("p", { class: "muted" }, explanation(answer)),
    ...shown.map((result) => resultSection(result, { issues, isDry, isOnly })),
  );
  if (shown.length < answer.results.length) {
    verdict.append(element("p", {}, `${answer.results.length - shown.length} more results are not shown.`));
  }
  lines.mark(issues);
  verdict.querySelector("details.row")?.setAttribute("open", "");
  const count = (kind) => issues.filter((one) => one.kind === kind).length;
  announce(`${answer.message}. Errors: ${count("error")}, warnings: ${count("warning")}.`);
}

/** Line and column of an error of the JSON; a body without events is marked at its start. */
function placeOf({ detail, code }) {
  const found = /at line (\d+), column (\d+)/.exec(detail);
  if (found) return { line: Number(found[1]), column: Number(found[2]) };
  return code === "empty_body" ? { line: 1, column: 1 } : null;
}

/** The whole request was refused. */
function showRefusal({ title, detail, code }, text) {
  const place = placeOf({ detail, code });
  const about = { kind: "error", code, message: detail, path: "", text };
  verdict.replaceChildren(element("h3", {}, title));
  if (place) {
    const { line, column } = place;
    verdict.append(element("ul", { class: "issues" }, issueItem({ ...about, line }, lines)));
    lines.mark([{ ...about, line }]);
    lines.select(line, column);
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
    showRefusal({ title: "No response", code: "no_response", detail: "The service did not respond, so the event may or may not be stored. Sending it again is safe." }, body.value);
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
