// On every page: copy buttons, and the address under which the reader knows us.
// For the other scripts: what pages are made of. Text is only ever put in as text.

const announcer = document.getElementById("announcer");

/** Say something to whoever listens rather than looks. */
export function announce(text) {
  announcer.textContent = "";
  // A change that follows at once would not be noticed.
  requestAnimationFrame(() => { announcer.textContent = text; });
}

/** An element with attributes and children; text among the children stays text. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** What became of an event, as the macro of this name. */
export function badge(status) {
  return element("span", { class: `badge badge-${status}` }, status);
}

/** Our own words, what stands between backticks as code. */
export function prose(text) {
  return text.split("`").map((part, i) => (i % 2 ? element("code", {}, part) : part));
}

/** A block of text to copy, as the macro `code`. */
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

/** Copy the text of the block that a button belongs to. */
export async function copy(button) {
  const pre = button.closest(".code").querySelector("pre");
  const face = button.firstChild;
  try {
    await navigator.clipboard.writeText(pre.textContent);
    face.data = "Copied";
    announce("Copied");
  } catch {
    // No clipboard without TLS: what is selected is one key press from it.
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

// Behind a proxy the service may not know its own address; the browser does.
for (const place of document.querySelectorAll("[data-address]")) {
  const { address } = place.dataset;
  if (address === location.origin) continue;
  for (const code of place.querySelectorAll("code")) {
    code.textContent = code.textContent.replaceAll(address, location.origin);
  }
}
