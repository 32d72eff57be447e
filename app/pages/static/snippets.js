// Code to copy on the page of an event: languages as tabs, colours, and the reader's key.

import { element } from "./page.js";
import { highlight } from "./highlight.js";

const PLACEHOLDER = "YOUR_WRITE_KEY";
const box = document.querySelector(".snippets");

function makeTabs() {
  const entries = [...box.querySelectorAll("details")];
  const tabs = entries.map((entry, number) => element("button", {
    type: "button", role: "tab", id: `tab-${number}`, "aria-controls": `panel-${number}`, class: "tab",
  }, ...entry.querySelector("summary").childNodes));
  const panels = entries.map((entry, number) => {
    entry.querySelector("summary").remove();
    return element("div", { role: "tabpanel", id: `panel-${number}`, "aria-labelledby": `tab-${number}` }, ...entry.childNodes);
  });
  const select = (chosen, { focus = false } = {}) => {
    tabs.forEach((tab, number) => {
      const isChosen = number === chosen;
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
      panels[number].hidden = !isChosen;
      if (isChosen && focus) tab.focus();
    });
  };
  const list = element("div", { role: "tablist", "aria-label": "Languages", class: "tabs" }, ...tabs);
  list.addEventListener("click", (event) => {
    const number = tabs.indexOf(event.target.closest("[role=tab]"));
    if (number >= 0) select(number);
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const now = tabs.indexOf(document.activeElement);
    if (step === undefined || now < 0) return;
    event.preventDefault();
    select((now + step + tabs.length) % tabs.length, { focus: true });
  });
  box.replaceChildren(list, ...panels);
  select(0);
}

/** The quick-start key, for a signed-in reader on the machine of the service. */
async function fillKey() {
  if (!["localhost", "127.0.0.1", "[::1]"].includes(location.hostname)) return;
  if (document.querySelector("form[action='/sign-out']") === null) return;
  const response = await fetch("/quickstart-key", { cache: "no-store" });
  if (!response.ok) return;
  const { key } = await response.json();
  if (!key) return;
  for (const code of document.querySelectorAll(".chapters code")) {
    if (code.textContent.includes(PLACEHOLDER)) code.textContent = code.textContent.replaceAll(PLACEHOLDER, key);
  }
  document.getElementById("key").value = key;
  document.getElementById("key-note").textContent = "The code has the quick-start key of this machine.";
}

makeTabs();
try {
  await fillKey();
} catch {
  // The placeholder stays.
}
for (const code of box.querySelectorAll("pre code")) highlight(code);
