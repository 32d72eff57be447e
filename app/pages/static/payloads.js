// Payloads that the page holds as one line each, laid out for reading.

import { layOut } from "./json_layout.js";

for (const code of document.querySelectorAll(".payload pre > code")) {
  code.textContent = layOut(code.textContent);
}
