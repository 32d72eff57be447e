"""A place that the service names is found in the text as it was typed."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from tests.support.browser.hostile import naughty
from tests.support.pipeline.verdicts import judge_body

EVENT = (
    '{\n "user_id": 1,\n "properties": {\n  "a": [\n   1,\n   {"b.c": 2}\n  ]\n }\n}'
)


async def evaluate(page: Page, file: str, script: str, argument: Any) -> Any:
    """Run a script of the test's own that has a module as `json`."""
    await page.goto("/events/signed_up")
    return await page.evaluate(
        f"""async ([file, argument]) => {{
          const other = document.querySelector('script[src*="try_out"]').src;
          const json = await import(other.replace("try_out", file));
          return ({script})(json, argument);
        }}""",
        [file, argument],
    )


async def line_of(page: Page, text: str, number: int, path: str) -> Any:
    script = "(json, [text, number, path]) => json.placesIn(text)(number, path)"
    return await evaluate(page, "json_places", script, [text, number, path])


@pytest.mark.parametrize(
    ("text", "number", "path", "line"),
    [
        (EVENT, 0, "", 1),
        (EVENT, 0, "user_id", 2),
        (EVENT, 0, "properties.a[0]", 5),
        (EVENT, 0, "properties.a[1].b.c", 6),
        (EVENT, 0, "properties.missing", 3),
        (EVENT, 0, "missing", 1),
        (EVENT, 1, "user_id", 1),
        (f"[\n1,\n{EVENT}]", 1, "user_id", 4),
        (f'{{"batch": 1,\n"batch": [\n{EVENT}]}}', 0, "user_id", 4),
        ('{"user_id": 1,\n"user_id": 2}', 0, "user_id", 2),
        ('{"properties":\n{"": 1,\n"x": NaN}}', 0, "properties.x", 3),
        ('{"properties":\n{"":\n{"": 1}}}', 0, "properties..", 3),
        ('{"a": "\\"},{",\n"b": -Infinity', 0, "b", 2),
        ('{"a": "never closed\n', 0, "a", 1),
        ("]]}},,::", 0, "a", 1),
        ("", 0, "a", 1),
    ],
)
async def test_each_place_has_a_line(
    page: Page, text: str, number: int, path: str, line: int
) -> None:
    assert await line_of(page, text, number, path) == line


def grown(texts: list[str], draw: random.Random, depth: int = 4) -> Any:
    """A value with one NaN somewhere inside."""
    if depth == 0:
        return float("nan")
    inner = grown(texts, draw, depth - 1)
    if draw.random() < 0.3:
        return [*range(draw.randrange(4)), inner]
    members = {draw.choice(texts): 1 for _ in range(draw.randrange(5))}
    return members | {draw.choice(texts): inner}


async def test_service_and_page_name_the_same_place(page: Page, corpora: Path) -> None:
    draw = random.Random(6)
    texts = [*naughty(corpora), "a", "a.b", "a[0]", "[0]", "k" * 70, ""]
    cases = []
    for indent in [*range(4)] * 50:
        event = {"properties": {"p": grown(texts, draw)}}
        text = json.dumps(event, indent=indent, ensure_ascii=False)
        [path] = [
            warning.path
            for warning in judge_body(text.encode()).warnings
            if warning.code == "non_finite_number"
        ]
        rows = enumerate(text.split("\n"), 1)
        line = next(n for n, row in rows if re.search(r"NaN[\]}, ]*$", row))
        cases.append((text, path, line))

    script = "(json, all) => all.map(([text, path]) => json.placesIn(text)(0, path))"
    found = await evaluate(
        page, "json_places", script, [[text, path] for text, path, _ in cases]
    )
    for (text, path, line), other in zip(cases, found, strict=True):
        # A path is cut where it grows long: then it is that of something around it.
        assert other == line or (len(path) == 256 and other < line), (path, text)


async def test_json_is_laid_out_and_stays_the_same(page: Page, corpora: Path) -> None:
    draw = random.Random(7)
    texts = naughty(corpora)
    values = [grown(texts, draw) for _ in range(100)]
    values += [{}, [], [[]], {"a": {}}, 2**70, "a", None, "long" * 32768]
    compact = [json.dumps(value, separators=(",", ":")) for value in values]
    script = "(json, all) => all.map(json.layOut)"
    made = await evaluate(page, "json_layout", script, compact)
    assert [json.dumps(json.loads(text), indent=2) for text in made] == [
        json.dumps(value, indent=2) for value in values
    ]
    assert [text.count("\n") for text in made] == [
        json.dumps(value, indent=2).count("\n") for value in values
    ]
