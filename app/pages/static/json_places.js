// Finds the lines of paths, as the service names them, in JSON text as it was typed.
// Invalid JSON is read as far as possible: only the service validates.

const TOKEN = /([{}[\],:])|"[^"\\]*(?:\\[^][^"\\]*)*(?:"|$)|[^\s{}[\],:"]+/g;
// The service shows keys like this: cut, unprintable characters replaced.
const LONGEST_KEY = 64;
const UNPRINTABLE = /[^ -~\u00a1-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

function keyOf(token) {
  try {
    return JSON.parse(token);
  } catch {
    return token.slice(1).replace(/"$/, "");
  }
}

function shown(key) {
  return Array.from(key).slice(0, LONGEST_KEY).join("").replace(UNPRINTABLE, "\ufffd");
}

/** Read the outermost value; each value is {at: offset, members?, items?}. */
function read(text) {
  const inside = [];
  let root = null;
  let key = null; // of the member whose value comes next
  let keyIsDue = false;
  const put = (value) => {
    const parent = inside.at(-1);
    if (!parent) root ??= value;
    else if (parent.items) parent.items.push(value);
    else if (key) parent.members.push({ ...key, value });
    key = null;
  };
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    const parent = inside.at(-1);
    if (token === "{" || token === "[") {
      const value = token === "{" ? { at: index, members: [] } : { at: index, items: [] };
      put(value);
      inside.push(value);
      keyIsDue = token === "{";
    } else if (token === "}" || token === "]") {
      inside.pop();
      keyIsDue = false;
    } else if (token === ",") {
      keyIsDue = Boolean(parent?.members);
    } else if (token !== ":") {
      if (keyIsDue && token.startsWith('"')) key = { at: index, key: keyOf(token) };
      else put({ at: index });
      keyIsDue = false;
    }
  }
  return root;
}

function member(value, name) {
  return value?.members?.findLast(({ key }) => key === name)?.value;
}

/** Events of a body, as the service finds them. */
function eventsIn(root) {
  return root?.items ?? member(root, "batch")?.items ?? [root];
}

/** Follow a path as far as it exists: {at, left}. A key may contain a dot. */
function follow(value, at, path) {
  let best = { at, left: path.length };
  const better = (found) => { if (found.left < best.left) best = found; };
  if (path.startsWith(".") && value.members) {
    for (const { key, at: keyAt, value: inner } of value.members.toReversed()) {
      const step = `.${shown(key)}`;
      const rest = path.slice(step.length);
      if (path.startsWith(step) && /^(?:[.[]|$)/.test(rest)) better(follow(inner, keyAt, rest));
    }
  }
  const [step, index] = /^\[(\d+)\]/.exec(path) ?? [];
  const item = step && value.items?.[Number(index)];
  if (item) better(follow(item, item.at, path.slice(step.length)));
  return best;
}

/**
 * Create a function that finds the line of a path such as properties.tags[3] in an
 * event by its number. Lines count from 1. A missing path gets the line of its parent.
 * @param {string} text the body as it was typed
 */
export function placesIn(text) {
  const events = eventsIn(read(text));
  const ends = Array.from(text.matchAll(/\n/g), ({ index }) => index);
  return (number, path) => {
    const event = events[number];
    if (!event) return 1;
    const { at } = path ? follow(event, event.at, `.${path}`) : event;
    const after = ends.findIndex((end) => end >= at);
    return (after < 0 ? ends.length : after) + 1;
  };
}
