"""The text of the documents, between their tables."""

import re
from pathlib import Path

import pytest

from app.request_errors import REQUEST_ERRORS
from tests.support.docs.markdown import pages, read, section

RETRYABLE = {str(kind.status) for kind in REQUEST_ERRORS if kind.retryable}


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_no_page_has_merge_markers(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"^(?:<{7}|={7}|>{7}|\|{7}).*", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("README.md", "What to check"),
        ("docs/wire.md", "Retries and identity"),
    ],
)
def test_retryable_statuses_are_those_that_may_succeed(page: str, title: str) -> None:
    [sentence] = re.findall(
        r"^.*(?:Send (?:the same bytes )?again|Retry the same body).* after .*$",
        section(read(page), title),
        re.MULTILINE,
    )
    assert {*re.findall(r"\b\d{3}\b", sentence)} == RETRYABLE


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_link_with_the_name_of_a_page_leads_to_that_page(page: Path) -> None:
    named = re.findall(r"\[([\w-]+\.md)\]\(([^)\s#]*)", page.read_text("utf-8"))
    assert [target for name, target in named if Path(target).name != name] == []
