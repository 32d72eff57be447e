// Every page: copy buttons, and the address of the service as the browser knows it.
// For other scripts: elements of pages. Text is always inserted as text.

const announcer = document.getElementById("announcer");

/** Announce a text to screen readers. */
export function announce(text) {
  announcer.textContent = "";
  // Screen readers miss a change in the same frame.
  requestAnimationFrame(() => { announcer.textContent = text; });
}

/** Create an element with attributes and children; strings become text. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Badge of a status, like the macro of this name. */
export function badge(status) {
  return element("span", { class: `badge badge-${status}` }, status);
}

/** Our own text; parts between backticks become code. */
export function prose(text) {
  return text.split("`").map((part, i) => (i % 2 ? element("code", {}, part) : part));
}

/** Block of text to copy, like the macro `code`. */
export function codeBlock(text, label) {
  const button = element("button", { class: "quiet copy", type: "button" }, "Copy");
  button.append(element("span", { class: "unseen" }, ` ${label}`));
  button.addEventListener("click", () => copy(button));
  return element(
    "figure",
    { class: "code" },
    element("figcaption", {}, element("span", {}, label), button),
    element("pre", { tabindex: "0", "aria-label": label }, element("code", {}, text)),
  );
}

/** Block with the SQL that finds an event by its id. */
export function sqlBlock(status, id) {
  const sql = status === "rejected"
    ? "SELECT *\nFROM rejected_events"
    : "SELECT events.*\nFROM event_ids JOIN events USING (bucket, id, stored_at)";
  return codeBlock(`${sql}\nWHERE id = '${id}';`, "SQL that finds it");
}

/** Copy the text of the block around a button. */
export async function copy(button) {
  const pre = button.closest(".code").querySelector("pre");
  const face = button.firstChild;
  try {
    await navigator.clipboard.writeText(pre.textContent);
    face.data = "Copied";
    announce("Copied");
  } catch {
    // Browsers offer no clipboard without TLS: select the text instead.
    getSelection().selectAllChildren(pre);
    face.data = "Selected";
    announce("Selected; copy it with your keyboard");
  }
  setTimeout(() => { face.data = "Copy"; }, 2000);
}

for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}

// The page is the same for all addresses; the browser fills in its own.
for (const place of document.querySelectorAll("[data-address]")) {
  const { address } = place.dataset;
  if (address === location.origin) continue;
  for (const code of place.querySelectorAll("code")) {
    code.textContent = code.textContent.replaceAll(address, location.origin);
  }
}
