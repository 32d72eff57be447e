// The last hour, by the minute: a bar for each, drawn anew when a count changes.

import { element } from "./page.js";
import { grouped, shape } from "./elements.js";

const SHOWN = 60;
const WIDTH = 960;
const HEIGHT = 108;
const STEP = WIDTH / SHOWN;

const svg = document.getElementById("minutes");
const summary = document.getElementById("minutes-summary");
const table = document.getElementById("minutes-details");
const body = document.getElementById("minutes-rows");

const counts = new Map();
let latest = 0;
let drawing = false;

const clock = (seconds) =>
  new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

/** Take whole counts of some minutes. */
export function takeMinutes({ until, minutes }) {
  latest = Math.floor(until / 60) * 60;
  for (const [minute, stored, rejected] of minutes) counts.set(minute, { stored, rejected });
  for (const minute of counts.keys()) if (minute <= latest - SHOWN * 60) counts.delete(minute);
  if (!drawing) {
    drawing = true;
    requestAnimationFrame(draw);
  }
}

function draw() {
  drawing = false;
  const known = [...counts].sort(([one], [other]) => one - other);
  const most = Math.max(1, ...known.map(([, { stored, rejected }]) => stored + rejected));
  const bars = known.flatMap(([minute, found]) => bar(minute, found, HEIGHT / most));
  svg.replaceChildren(
    shape("line", { class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT + 0.5, y2: HEIGHT + 0.5 }),
    ...bars,
    shape("text", { x: 0, y: HEIGHT + 18 }, clock(latest - (SHOWN - 1) * 60)),
    shape("text", { x: WIDTH, y: HEIGHT + 18, "text-anchor": "end" }, `${clock(latest)}, most in a minute: ${grouped(most)}`),
  );
  tell(known);
}

function bar(minute, { stored, rejected }, scale) {
  const x = WIDTH - STEP * ((latest - minute) / 60 + 1) + 1;
  const low = HEIGHT - stored * scale;
  return [
    ["series-1", low, stored * scale],
    ["series-3", low - rejected * scale, rejected * scale],
  ]
    .filter(([, , height]) => height > 0)
    .map(([name, y, height]) => shape("rect", { class: name, x, y, width: STEP - 2, height }));
}

function tell(known) {
  const sum = (kind) => grouped(known.reduce((total, [, found]) => total + found[kind], 0));
  const rest = SHOWN - known.length;
  summary.textContent =
    `${sum("stored")} stored and ${sum("rejected")} rejected` +
    (rest > 0 ? `; ${rest} minutes are not counted yet.` : ".");
  if (table.open) list(known);
}

function list(known) {
  body.replaceChildren(
    ...known.reverse().map(([minute, { stored, rejected }]) =>
      element("tr", {},
        element("td", {}, clock(minute)),
        element("td", { class: "number" }, grouped(stored)),
        element("td", { class: "number" }, grouped(rejected)))),
  );
}

table.addEventListener("toggle", draw);
