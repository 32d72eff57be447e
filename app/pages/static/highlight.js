// Colours of code: strings, numbers, comments and keywords. Text stays text.

import { element } from "./page.js";

const KEYWORDS =
  "and as async await class const def else false for from if import in let new none not null return true try while with";
const TOKEN = new RegExp(
  [
    "(?<comment>(?:^|(?<=\\s))(?:#|//).*$)",
    "(?<string>\"(?:[^\"\\\\\\n]|\\\\.)*\"|'(?:[^'\\\\]|\\\\.)*'|`(?:[^`\\\\]|\\\\.)*`)",
    "(?<number>(?<![\\w.:/])-?\\d+(?:\\.\\d+)?(?![\\w.:/]))",
    `(?<keyword>\\b(?:${KEYWORDS.replaceAll(" ", "|")})\\b)`,
  ].join("|"),
  "gim",
);

/** Colour a block of code; very long ones stay as they are. */
export function highlight(code) {
  const text = code.textContent;
  if (text.length > 100_000) return;
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    const [kind] = Object.entries(match.groups).find(([, found]) => found !== undefined);
    parts.push(text.slice(end, match.index), element("span", { class: `code-${kind}` }, match[0]));
    end = match.index + match[0].length;
  }
  code.replaceChildren(...parts, text.slice(end));
}
