// Page of a rejected event: lays the payload out, and checks a corrected one.

import { editor } from "../editor.js";
import { layOut } from "../json_layout.js";
import { announce, badge, element } from "../page.js";
import { issueItem, issuesOf } from "../verdict.js";

const original = document.querySelector("#original code");
original.textContent = layOut(original.textContent);

const form = document.getElementById("correct");
if (form) {
  const area = document.getElementById("payload");
  const verdict = document.getElementById("verdict");
  const button = document.getElementById("check");
  area.value = layOut(area.value);
  const lines = editor(area, form.querySelector(".gutter"));

  const check = async () => {
    const text = area.value;
    const response = await fetch(form.dataset.check, {
      method: "POST", body: new URLSearchParams(new FormData(form)), cache: "no-store",
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.detail);
    const [result] = answer.results;
    const issues = issuesOf(answer.results, text);
    verdict.replaceChildren(
      element("h3", {}, badge(result.status), " ", answer.message),
      element("ul", { class: "issues" }, ...issues.map((issue) => issueItem(issue, lines))),
    );
    lines.mark(issues);
    announce(answer.message);
  };

  button.hidden = false;
  button.addEventListener("click", async () => {
    verdict.setAttribute("aria-busy", "true");
    try {
      await check();
    } catch (error) {
      verdict.replaceChildren(element("p", { class: "notice notice-error" }, error.message || "The service did not respond. Try again."));
    } finally {
      verdict.removeAttribute("aria-busy");
    }
  });
}
