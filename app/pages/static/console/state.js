// Home: keeps the state and the counts up to date.

import { announce } from "../page.js";
import { explain } from "./elements.js";

const INTERVAL_MS = 2_000;
const card = document.getElementById("state");
const cells = new Map([...document.querySelectorAll("[data-cell]")].map((cell) => [cell.dataset.cell, cell]));
const lines = new Map([...document.querySelectorAll("[data-points]")].map((cell) => [cell.dataset.points, cell.querySelector("polyline")]));

function show({ mode, cells: texts, points }) {
  if (mode !== card.dataset.mode) announce(texts.title);
  card.dataset.mode = mode;
  // A new source or reason needs a new row. During an outage, only some workers have counts.
  const isNew = Object.keys(texts).some((name) => !cells.has(name));
  if (isNew && ["storing", "draining"].includes(mode)) return location.reload();
  for (const [name, text] of Object.entries(texts)) {
    const cell = cells.get(name);
    if (cell && cell.textContent !== text) cell.textContent = text;
  }
  for (const [name, line] of lines) if (points[name]) line.setAttribute("points", points[name]);
}

async function update() {
  if (document.hidden) return;
  try {
    const response = await fetch("/state", { cache: "no-store" });
    if (response.status === 401) return explain("You are no longer signed in. Sign in again to see the state.");
    if (!response.ok) throw new Error(response.status);
    show(await response.json());
    explain("");
  } catch {
    explain("The service does not respond. This page tries again by itself.");
  }
}

async function keepUpdated() {
  await update();
  setTimeout(keepUpdated, INTERVAL_MS);
}

setTimeout(keepUpdated, INTERVAL_MS);
