// Charts: shows the values of a bar on hover, and by the arrow keys.
// Reads the elements each time, so a chart may be drawn again at any time.

const bucketsOf = (svg) => [...svg.querySelectorAll(".bucket")];

function show(svg, bucket) {
  const readout = svg.closest("figure").querySelector(".readout");
  for (const active of svg.querySelectorAll(".bucket.active")) active.classList.remove("active");
  if (!bucket) return;
  bucket.classList.add("active");
  const { label, reading } = bucket.dataset;
  readout.textContent = `${label}: ${reading}`;
  svg.setAttribute("aria-valuenow", bucketsOf(svg).indexOf(bucket));
  svg.setAttribute("aria-valuetext", `${label}: ${reading}`);
}

/** Index of the next bar for a key; undefined for other keys. */
function step(key, current, last) {
  switch (key) {
    case "ArrowLeft": case "ArrowDown": return Math.max(0, current - 1);
    case "ArrowRight": case "ArrowUp": return Math.min(last, current + 1);
    case "Home": return 0;
    case "End": return last;
    default: return undefined;
  }
}

for (const svg of document.querySelectorAll(".chart svg[role=slider]")) {
  svg.addEventListener("pointermove", (event) => {
    const bucket = event.target.closest(".bucket");
    if (bucket) show(svg, bucket);
  });
  svg.addEventListener("keydown", (event) => {
    const buckets = bucketsOf(svg);
    const active = buckets.findIndex((bucket) => bucket.classList.contains("active"));
    const next = step(event.key, active < 0 ? buckets.length : active, buckets.length - 1);
    if (next === undefined) return;
    event.preventDefault();
    show(svg, buckets[next]);
  });
}
