// Indents JSON as text, without parsing it: long numbers, repeated keys and truncated
// payloads stay as they are.

const TOKEN = /"(?:[^"\\]|\\.)*"?|[{}[\],:]|[^\s{}[\],:"]+/gs;
const ESCAPE = /\\(?:u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|u([0-9a-f]{4})|[^])/gi;
// Invisible characters and those that change the direction of text stay escaped.
const UNSEEN = /[\p{C}\p{Z}]/u;

function unescape(whole, high, low, single) {
  if (high !== undefined) {
    const pair = String.fromCharCode(parseInt(high, 16), parseInt(low, 16));
    return UNSEEN.test(pair) ? whole : pair;
  }
  if (single === undefined) return whole;
  const code = parseInt(single, 16);
  const text = String.fromCharCode(code);
  return code < 0x80 || UNSEEN.test(text) ? whole : text;
}

/** Indent JSON text, and replace escapes of visible characters. */
export function layOut(json) {
  let depth = 0;
  let out = "";
  let last = "";
  const line = () => "\n" + "  ".repeat(Math.min(depth, 40));
  for (const [token] of json.matchAll(TOKEN)) {
    if (token === "}" || token === "]") {
      depth -= 1;
      if (last !== "{" && last !== "[") out += line();
      out += token;
    } else {
      if (last === "{" || last === "[" || last === ",") out += line();
      if (token === "{" || token === "[") depth += 1;
      out += token.startsWith('"') ? token.replace(ESCAPE, unescape) : token;
      if (token === ":") out += " ";
    }
    last = token;
  }
  return out;
}
