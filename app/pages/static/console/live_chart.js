// Chart of the last hour: one bar for each minute, drawn again when a count changes.

import { element } from "../page.js";
import { grouped, shape } from "./elements.js";
import "./chart.js";

const SHOWN = 60;
const WIDTH = 1000;
const HEIGHT = 200;
const STEP = WIDTH / SHOWN;
const TICKS = 4;

const svg = document.getElementById("minutes");
const summary = document.getElementById("minutes-summary");
const table = document.getElementById("minutes-details");
const body = document.getElementById("minutes-rows");
const yAxis = document.getElementById("minutes-y");
const xAxis = document.getElementById("minutes-x");

const counts = new Map();
let latest = 0;
let drawing = false;

/** Hour and minute in UTC. */
const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 16);

/** Take complete counts of some minutes. */
export function takeMinutes({ until, minutes }) {
  latest = Math.floor(until / 60) * 60;
  for (const [minute, stored, rejected] of minutes) counts.set(minute, { stored, rejected });
  for (const minute of counts.keys()) if (minute <= latest - SHOWN * 60) counts.delete(minute);
  if (!drawing) {
    drawing = true;
    requestAnimationFrame(draw);
  }
}

/** Step of the axis: 1, 2 or 5 times a power of ten. */
function stepFor(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, most / TICKS)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step * TICKS >= most);
}

function draw() {
  drawing = false;
  const known = [...counts].sort(([one], [other]) => one - other);
  const most = Math.max(1, ...known.map(([, { stored, rejected }]) => stored + rejected));
  const step = stepFor(most);
  const lines = Array.from({ length: TICKS + 1 }, (_, n) => (HEIGHT / TICKS) * n);
  const active = svg.querySelector(".active")?.dataset.label;
  svg.replaceChildren(
    ...lines.map((y) => shape("line", { class: "grid", x1: 0, x2: WIDTH, y1: y, y2: y })),
    ...known.map(([minute, found]) => bucket(minute, found, HEIGHT / (step * TICKS), active)),
  );
  yAxis.replaceChildren(...lines.map((_, n) => element("span", {}, grouped(step * (TICKS - n)))));
  xAxis.replaceChildren(...[59, 40, 20, 0].map((ago) => element("span", {}, clock(latest - ago * 60))));
  svg.setAttribute("aria-valuemax", Math.max(0, known.length - 1));
  summarise(known);
}

function bucket(minute, { stored, rejected }, scale, active) {
  const left = WIDTH - STEP * ((latest - minute) / 60 + 1);
  const low = HEIGHT - stored * scale;
  const label = `${clock(minute)} UTC`;
  const reading = `${grouped(stored)} stored, ${grouped(rejected)} rejected`;
  const bars = [["series-1", low, stored * scale], ["series-3", low - rejected * scale, rejected * scale]]
    .filter(([, , height]) => height > 0)
    .map(([name, y, height]) => shape("rect", { class: name, x: left + 1, y, width: STEP - 2, height }));
  const made = shape("g", { class: label === active ? "bucket active" : "bucket" },
    shape("rect", { class: "hit", x: left, y: 0, width: STEP, height: HEIGHT }), ...bars);
  Object.assign(made.dataset, { label, reading });
  return made;
}

function summarise(known) {
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
