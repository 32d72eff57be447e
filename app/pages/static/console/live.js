// Live page: server-sent events become rows, a chart and a status line.

import { announce } from "../page.js";
import { explain, grouped } from "./elements.js";
import { takeMinutes } from "./live_chart.js";
import { showRows, takeRows } from "./live_rows.js";

const RETRY_MS = 5_000;
const REASONS = {
  overloaded: "Too many live pages are open.",
  unavailable: "The database does not respond.",
};

const pause = document.getElementById("pause");
const state = document.getElementById("state");
const tally = document.getElementById("tally");
const isNarrow = "narrow" in tally.dataset;

const counted = { arrived: 0, leftOut: 0, skipped: 0, shown: 0 };
let isPaused = false;
let arrivedWhilePaused = 0;
let hasRows = false;

function updateTally() {
  const parts = [];
  if (isPaused) parts.push(`Paused; ${grouped(arrivedWhilePaused)} arrived since.`);
  if (hasRows) parts.push(`${grouped(counted.shown)} ${counted.shown === 1 ? "row" : "rows"} shown.`);
  // A filter may not match the events that no poll has read.
  const leftOut = counted.leftOut + (isNarrow ? 0 : counted.skipped);
  const hidden = counted.arrived - counted.shown + leftOut - (isPaused ? arrivedWhilePaused : 0);
  if (hidden > 0) parts.push(`${grouped(hidden)} more arrived and are not shown.`);
  if (isNarrow && counted.skipped > 0) parts.push(`${grouped(counted.skipped)} were too many to compare with the filter.`);
  if (parts.length > 0) tally.textContent = parts.join(" ");
}

function setState(text, kind) {
  state.textContent = text;
  state.className = `badge badge-${kind}`;
}

function draw() {
  showRows((shown) => {
    counted.shown = shown;
    updateTally();
  });
}

const handlers = {
  rows({ rows, left_out: leftOut }) {
    const fresh = takeRows(rows);
    hasRows = true;
    counted.arrived += fresh;
    counted.leftOut += leftOut;
    if (isPaused) arrivedWhilePaused += fresh + leftOut;
    else draw();
  },
  minutes(found) {
    counted.skipped += found.skipped;
    takeMinutes(found);
  },
  missed({ rows }) {
    counted.leftOut += rows;
  },
  database({ available }) {
    setState(available ? "live" : "waiting", available ? "success" : "warning");
    explain(available ? "" : "The database does not respond. The stream continues by itself once it does.");
    announce(available ? "The database responds again" : "The database does not respond");
  },
};

function subscribe() {
  const stream = new EventSource(`/live/stream${location.search}`);
  for (const [name, handle] of Object.entries(handlers)) {
    stream.addEventListener(name, (event) => {
      handle(JSON.parse(event.data));
      updateTally();
    });
  }
  stream.addEventListener("open", () => {
    setState("live", "success");
    explain("");
  });
  stream.addEventListener("end", () => {
    stream.close();
    end();
  });
  stream.addEventListener("error", () => {
    setState("waiting", "warning");
    // The browser reconnects by itself unless the response was an error.
    if (stream.readyState === EventSource.CLOSED) findReason();
  });
}

async function findReason() {
  let status = 0;
  try {
    const controller = new AbortController();
    const response = await fetch(`/live/stream${location.search}`, {
      headers: { accept: "application/json" }, redirect: "manual", signal: controller.signal,
    });
    status = response.status;
    if (response.type === "opaqueredirect" || status === 401) return end();
    if (status === 503) explain(`${REASONS[(await response.json()).code] ?? REASONS.unavailable} This page tries again by itself.`);
    controller.abort();
  } catch {
    // No response: try again below.
  }
  setTimeout(subscribe, status === 200 ? 0 : RETRY_MS);
}

function end() {
  setState("ended", "error");
  explain("You are no longer signed in. Sign in again to continue.");
}

pause.addEventListener("click", () => {
  isPaused = !isPaused;
  arrivedWhilePaused = 0;
  pause.textContent = isPaused ? "Resume" : "Pause";
  pause.setAttribute("aria-pressed", String(isPaused));
  if (!isPaused) draw();
  updateTally();
});

subscribe();
