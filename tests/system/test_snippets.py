"""The snippets of the pages work against a real service."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typing_extensions import override

from app.pages.event_docs import event_doc
from app.pages.snippets import PLACEHOLDER_ADDRESS, PLACEHOLDER_KEY, Snippets
from app.pipeline.timestamp import format_timestamp, read_text
from tests.support.pipeline.verdicts import CATALOG
from tests.support.service.tenant import Tenant
from tests.system.test_sdks import MODULES

COUNT = len(Snippets().write(event_doc(CATALOG["signed_up"])))
# This SDK has no way to give a time, or a message id.
UNDATED = "@jitsu/js"


class Figures(HTMLParser):
    """The blocks of code on a page, by their labels."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self._label: str | None = None
        self.feed(html)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "pre":
            self._label = dict(attrs)["aria-label"]

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag == "pre":
            self._label = None

    @override
    def handle_data(self, data: str) -> None:
        if self._label:
            self.texts[self._label] = self.texts.get(self._label, "") + data


def command(language: str, code: str, folder: Path) -> Iterator[str | Path]:
    match language:
        case "shell":
            yield from ("sh", "-c", code)
        case "python":
            yield from (sys.executable, "-c", code)
        case _:
            node = shutil.which("node")
            if node is None or not MODULES.is_dir():
                pytest.skip("Node or its SDKs are not here; make test installs them")
            (folder / "node_modules").symlink_to(MODULES)
            script = folder / "snippet.mjs"
            script.write_text(code, encoding="utf-8")
            yield from (node, script)


@pytest.mark.parametrize("event", CATALOG)
@pytest.mark.parametrize("number", range(COUNT))
def test_snippet_stores_the_sample(
    tenant: Tenant, tmp_path: Path, number: int, event: str
) -> None:
    told = event_doc(CATALOG[event])
    snippet = Snippets().write(told)[number]
    page = tenant.client.get(f"/events/{event}").text
    shown = Figures(page).texts[snippet.install or snippet.label]
    assert shown.strip() == snippet.code.strip()
    if snippet.language == "shell" and shutil.which("curl") is None:
        pytest.skip("curl is not here")

    # A script of the page does both for its reader.
    code = shown.replace(PLACEHOLDER_KEY, tenant.key)
    code = code.replace(PLACEHOLDER_ADDRESS, tenant.service.address)
    done = subprocess.run(
        list(command(snippet.language, code, tmp_path)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    [row] = tenant.rows(
        "SELECT event, user_id, group_id, timestamp_raw, properties::text, message_id,"
        ' "timestamp" FROM events WHERE source = :source'
    )
    instant, _ = read_text(told.sample["timestamp"], two_digit_year="ymd")
    group = told.sample.get("context", {}).get("group_id")
    assert (row.event, row.user_id) == (event, told.sample["user_id"])
    assert row.group_id == group
    assert told.sample["properties"].items() <= json.loads(row.properties).items()
    if snippet.label != UNDATED:
        assert format_timestamp(row.timestamp) == format_timestamp(instant)
        assert row.message_id.startswith(f"{event}:")
