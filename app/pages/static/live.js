// What is arriving: server-sent events into rows, a chart and a line that counts.

import { announce } from "./page.js";
import { grouped } from "./elements.js";
import { takeMinutes } from "./live_chart.js";
import { showRows, takeRows } from "./live_rows.js";

const TRY_AGAIN_MS = 5_000;
const WHY = {
  overloaded: "As many watch this as one worker lets.",
  unavailable: "The database does not answer.",
};

const pause = document.getElementById("pause");
const state = document.getElementById("state");
const tally = document.getElementById("tally");
const trouble = document.getElementById("trouble");

const counted = { arrived: 0, leftOut: 0, skipped: 0 };
let paused = false;
let arrivedWhilePaused = 0;
let begun = false;

function told() {
  const parts = [];
  if (paused) parts.push(`Paused; ${grouped(arrivedWhilePaused)} arrived since.`);
  if (begun) parts.push(`${grouped(counted.arrived)} shown.`);
  // What nobody has looked at matches for sure only where everything does.
  const narrow = "narrow" in tally.dataset;
  const leftOut = counted.leftOut + (narrow ? 0 : counted.skipped);
  if (leftOut > 0) parts.push(`${grouped(leftOut)} more left out of view: too many at once.`);
  if (narrow && counted.skipped > 0) parts.push(`${grouped(counted.skipped)} passed by without a look.`);
  tally.textContent = parts.join(" ");
}

function say(text, kind) {
  state.textContent = text;
  state.className = `badge badge-${kind}`;
}

function explain(text) {
  trouble.hidden = text === "";
  if (trouble.textContent !== text) trouble.textContent = text;
}

const takers = {
  rows({ rows, left_out: leftOut }) {
    const fresh = takeRows(rows);
    begun = true;
    counted.arrived += fresh;
    counted.leftOut += leftOut;
    if (paused) arrivedWhilePaused += fresh + leftOut;
    else showRows();
  },
  minutes(found) {
    counted.skipped += found.skipped;
    takeMinutes(found);
  },
  missed({ rows }) {
    counted.leftOut += rows;
  },
  database({ available: there }) {
    say(there ? "live" : "waiting", there ? "success" : "warning");
    explain(there ? "" : "The database does not answer. This page goes on by itself when it does.");
    announce(there ? "The database answers again" : "The database does not answer");
  },
};

function watch() {
  const stream = new EventSource(`/live/stream${location.search}`);
  for (const [name, take] of Object.entries(takers)) {
    stream.addEventListener(name, (event) => {
      take(JSON.parse(event.data));
      told();
    });
  }
  stream.addEventListener("open", () => {
    say("live", "success");
    explain("");
  });
  stream.addEventListener("end", () => {
    stream.close();
    leave();
  });
  stream.addEventListener("error", () => {
    say("waiting", "warning");
    // The browser comes back by itself, unless it was refused.
    if (stream.readyState === EventSource.CLOSED) findOutWhy();
  });
}

async function findOutWhy() {
  let status = 0;
  try {
    const asking = new AbortController();
    const answer = await fetch(`/live/stream${location.search}`, {
      headers: { accept: "application/json" }, redirect: "manual", signal: asking.signal,
    });
    status = answer.status;
    if (answer.type === "opaqueredirect" || status === 401) return leave();
    if (status === 503) explain(`${WHY[(await answer.json()).code] ?? WHY.unavailable} This page tries again by itself.`);
    asking.abort();
  } catch {
    // Nobody answers: try again.
  }
  setTimeout(watch, status === 200 ? 0 : TRY_AGAIN_MS);
}

function leave() {
  say("ended", "error");
  explain("You are no longer signed in. Sign in again to go on.");
}

pause.addEventListener("click", () => {
  paused = !paused;
  arrivedWhilePaused = 0;
  pause.textContent = paused ? "Go on" : "Pause";
  pause.setAttribute("aria-pressed", String(paused));
  if (!paused) showRows();
  told();
});

const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
document.getElementById("zone").textContent = ` (${timeZone})`;
watch();
