"""Reading the documents: their blocks, tables, links and what they name."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

from tests.conftest import ROOT

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


def pages() -> list[Path]:
    """Every document of the project."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """The text below a heading, up to the next one of its level or a higher."""
    found = re.search(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    assert found is not None, f"no section {title}"
    rest = text[found.end() :]
    following = re.search(rf"^#{{1,{len(found[1])}}} ", _blank(rest), re.MULTILINE)
    return rest[: following.start()] if following else rest


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language, without their indentation."""
    return [
        dedent(block["text"])
        for block in _FENCE.finditer(text)
        if block["language"] == language
    ]


def tables(text: str) -> list[list[dict[str, str]]]:
    """Each table as its rows, by the heads of its columns."""
    found: list[list[dict[str, str]]] = []
    heads: list[str] = []
    for line in _blank(text).splitlines():
        if not line.startswith("|"):
            heads = []
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not heads:
            heads = cells
            found.append([])
        elif not set(line) <= set("|- "):
            assert len(cells) == len(heads), line
            found[-1].append(dict(zip(heads, cells, strict=True)))
    return found


def table(text: str, title: str) -> list[dict[str, str]]:
    """The first table of a section."""
    return tables(section(text, title))[0]


def links(text: str) -> list[str]:
    return _LINK.findall(_blank(text))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings."""
    titles = re.findall(r"^#+ (.+)$", _blank(text), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-")
        for title in titles
    }


def codes(text: str) -> list[str]:
    """The texts between single backticks, outside the blocks."""
    return _CODE.findall(_blank(text))


def named(row: dict[str, str], column: str) -> list[str]:
    """The names between backticks in a cell."""
    return _CODE.findall(row[column])


def _blank(text: str) -> str:
    """The text with spaces for its blocks; every place in it stays where it is."""
    return _FENCE.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), text)


def every(pattern: str) -> Iterator[tuple[Path, str]]:
    """Each match in each document."""
    for page in pages():
        for match in re.findall(pattern, page.read_text(encoding="utf-8")):
            yield page, match
