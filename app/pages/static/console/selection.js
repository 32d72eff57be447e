// List of rejected events: select all rows of the page.

const button = document.getElementById("select-all");
const boxes = document.querySelectorAll("#selection input[name=id]");

if (button) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const all = [...boxes].every((box) => box.checked);
    for (const box of boxes) box.checked = !all;
    button.textContent = all ? "Select all on this page" : "Select none";
  });
}
