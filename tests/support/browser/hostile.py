"""Texts that were written to break a page, or to run in it."""

import json
from pathlib import Path

PAYLOADS = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</textarea><script>alert(1)</script>",
    "</code></pre><svg onload=alert(1)>",
    "</title><img src=x onerror=alert(1)>",
    '<iframe srcdoc="<script>parent.alert(1)</script>"></iframe>',
    '<a href="javascript:alert(1)">x</a>',
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    '" autofocus onfocus=alert(1) x="',
    "' style='position:fixed;inset:0",
    "<style>*{display:none}</style>",
    "<base href=//example.com/>",
    '<meta http-equiv="refresh" content="0;url=//example.com/">',
    "<form action=//example.com/><button>x</button></form>",
    "<!--",
    "]]>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "{{ 7 * 7 }}{% raw %}",
    "${alert(1)}`;alert(1)//",
    "'-alert(1)-'",
    "\\';alert(1)//",
    "\u2028alert(1)\u2029",
    "\u202ereversed\u202c \u200bunseen\ufeff",
    "x\n\nevent: message\ndata: alert(1)\n\n",
    "x\r\nSet-Cookie: a=b",
    "__proto__",
    "constructor.prototype",
    "a.b[0].c",
    "`; DROP TABLE events; --`",
    "'; DROP TABLE events; --",
    "%s%n{0}%(x)s",
    "../../../etc/passwd",
    "\u0001\u001b[31m\u007f\u0085",
    "Z\u0351\u0343\u0342a\u0315\u031blgo\u0321",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u5341",
)


def naughty(corpora: Path) -> list[str]:
    """The Big List of Naughty Strings, and ours."""
    listed: list[str] = json.loads((corpora / "blns" / "blns.json").read_bytes())
    return [*PAYLOADS, *listed]
