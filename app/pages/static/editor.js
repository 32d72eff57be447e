// Text area with line numbers and marked lines.

/** @returns {{mark, select}} functions that mark lines and select one. */
export function editor(area, gutter) {
  let marks = new Map();

  const draw = () => {
    const count = area.value.split("\n").length;
    const numbers = Array.from({ length: count }, (_, i) => {
      const number = document.createElement("div");
      number.textContent = i + 1;
      if (marks.has(i + 1)) number.className = marks.get(i + 1);
      return number;
    });
    gutter.replaceChildren(...numbers);
    gutter.scrollTop = area.scrollTop;
  };

  const count = () => {
    if (marks.size || area.value.split("\n").length !== gutter.childElementCount) {
      marks = new Map(); // the marks belong to the previous text
      draw();
    }
  };

  area.addEventListener("input", count);
  area.addEventListener("scroll", () => { gutter.scrollTop = area.scrollTop; });
  draw();

  return {
    /** Mark the lines of these errors and warnings only. */
    mark(issues) {
      marks = new Map();
      for (const { line, kind } of issues) {
        if (marks.get(line) !== "error") marks.set(line, kind);
      }
      area.toggleAttribute("aria-invalid", false);
      if (issues.some(({ kind }) => kind === "error")) area.setAttribute("aria-invalid", "true");
      draw();
    },

    /** Select a line from a column on, and scroll to it; both count from 1. */
    select(line, column = 1) {
      const rows = area.value.split("\n");
      const start = rows.slice(0, line - 1).reduce((sum, row) => sum + row.length + 1, 0);
      area.focus();
      area.setSelectionRange(start + column - 1, start + (rows[line - 1] ?? "").length);
      const height = area.scrollHeight / rows.length;
      area.scrollTop = Math.max(0, (line - 3) * height);
    },
  };
}
