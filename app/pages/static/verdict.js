// Verdicts: the errors and warnings of events, each with its line in an editor.

import { placesIn } from "./json_places.js";
import { badge, element, prose } from "./page.js";

/** Errors and warnings of all results, each with its line in the text. */
export function issuesOf(results, text) {
  const lineOf = placesIn(text);
  return results.flatMap(({ index, errors = [], warnings = [] }) =>
    [...errors.map((one) => ["error", one]), ...warnings.map((one) => ["warning", one])].map(
      ([kind, one]) => ({ ...one, kind, index, text, line: lineOf(index, one.path) }),
    ),
  );
}

/** One error or warning as a list item, with a button that selects its line. */
export function issueItem({ kind, code, message, path, line, text }, lines) {
  const jump = element("button", { type: "button", class: "quiet" }, `line ${line}`);
  jump.addEventListener("click", () => lines.select(line));
  const explanation = document.getElementById(`${kind}-${code}`)
    ? element("a", { href: `#${kind}-${code}` }, code)
    : code;
  return element(
    "li",
    { class: `issue issue-${kind}` },
    element("p", {}, badge(kind), " ", element("code", {}, explanation), " ", jump),
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
