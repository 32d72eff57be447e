// On every page: copy buttons, and the address under which the reader knows us.

const announcer = document.getElementById("announcer");

/** Say something to whoever listens rather than looks. */
export function announce(text) {
  announcer.textContent = "";
  // A change that follows at once would not be noticed.
  requestAnimationFrame(() => { announcer.textContent = text; });
}

function select(node) {
  const range = document.createRange();
  range.selectNodeContents(node);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

async function copy(button) {
  const pre = button.closest(".code").querySelector("pre");
  const face = button.firstChild;
  try {
    await navigator.clipboard.writeText(pre.textContent);
    face.data = "Copied";
    announce("Copied");
  } catch {
    // No clipboard without TLS: what is selected is one key press from it.
    select(pre);
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
  for (const code of place.querySelectorAll("pre > code")) {
    code.textContent = code.textContent.replaceAll(address, location.origin);
  }
}
