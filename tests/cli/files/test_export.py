import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import Result

from app.cli.files.export import export
from app.pipeline.record import Record, RequestContext
from app.store.read.row_json import NOT_SHOWN
from app.store.tables import events
from tests.support.cli.files import run, run_aside
from tests.support.pipeline.verdicts import ADDED_USER, RECEIPT, SIGNED_UP, stored
from tests.support.store.entries import rows, save

COLUMNS = [name for name in events.columns.keys() if name not in NOT_SHOWN]  # noqa: SIM118 - no dict


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return sorted(
        map(json.loads, result.stdout.splitlines()), key=lambda line: line["timestamp"]
    )


def table(result: Result) -> list[dict[str, str]]:
    assert result.exit_code == 0, result.stderr
    text = result.stdout_bytes.decode()  # stdout has lost its carriage returns
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


async def fill(
    engine: AsyncEngine, *values: Any, request_context: RequestContext = RECEIPT
) -> list[Record]:
    records = [stored(value, request_context=request_context) for value in values]
    await save(engine, *records)
    return records


async def test_line_holds_every_stored_field(
    engine: AsyncEngine, database_url: str
) -> None:
    [record] = await fill(
        engine, SIGNED_UP | {"timestamp": "20-11-23T22:28:55.111Z", "groupId": 5}
    )
    [row] = await rows(engine, events)

    [line] = lines(await run_aside(export, url=database_url))

    assert list(line) == COLUMNS
    assert line == {
        "id": record.id,
        "source": RECEIPT.source,
        "event": "signed_up",
        "user_id": SIGNED_UP["user_id"],
        "group_id": "5",
        "timestamp": "2020-11-23T22:28:55.111Z",
        "timestamp_raw": "20-11-23T22:28:55.111Z",
        "received_at": "2026-11-21T00:00:00.000Z",
        "stored_at": line["stored_at"],
        "message_id": None,
        "properties": SIGNED_UP["properties"],
        "context": {},
        "warnings": row.warnings,
        "extra": {},
    }
    assert datetime.fromisoformat(line["stored_at"]) == row.stored_at
    assert [warning["code"] for warning in line["warnings"]] == [
        "coerced_to_text",
        "two_digit_year",
    ]


@pytest.mark.parametrize(
    ("options", "users"),
    [
        ([], ["a", "b", "c"]),
        (["--event", "signed_up"], ["a"]),
        (["--event", "account_added_user"], ["b", "c"]),
        (["--user", "b"], ["b"]),
        (["--group", "g"], ["b"]),
        (["--source", RECEIPT.source], ["a", "b", "c"]),
        (["--source", "other"], []),
        (["--since", "2023-11-02T00:30:08.276Z"], ["b", "c"]),
        (["--until", "2023-11-02T00:30:08.276Z"], ["a"]),
        (["--since", "2023-01-02", "--until", "2024-01-01"], ["b"]),
        (["--since", "1d"], ["c"]),
        (["--user", "a", "--event", "account_added_user"], []),
    ],
)
@pytest.mark.parametrize("form", ["ndjson", "csv"])
async def test_filters_select_events(
    engine: AsyncEngine,
    database_url: str,
    form: str,
    options: list[str],
    users: list[str],
) -> None:
    now = datetime.now(UTC) - timedelta(hours=1)
    await fill(
        engine,
        SIGNED_UP | {"user_id": "a", "timestamp": "2023-01-01"},
        ADDED_USER | {"user_id": "b", "context": {"group_id": "g"}},
    )
    latest = ADDED_USER | {"user_id": "c", "timestamp": now.isoformat()}
    await fill(engine, latest, request_context=RECEIPT._replace(received_at=now))

    result = await run_aside(export, "--format", form, *options, url=database_url)

    found = lines(result) if form == "ndjson" else table(result)
    assert sorted(each["user_id"] for each in found) == users
    assert result.stderr == f"{len(users)} events exported.\n"


async def test_csv_of_one_event_has_the_columns_of_its_view(
    engine: AsyncEngine, database_url: str
) -> None:
    mixed = {"role": "Ops", "user_name": 'A "B", C\nD', "n": 1.5}
    [record] = await fill(engine, ADDED_USER | {"properties": mixed})

    result = await run_aside(
        export,
        *["--typed", "--event", "account_added_user", "--format", "csv"],
        url=database_url,
    )

    [row] = table(result)
    expected = {
        "id": record.id,
        "timestamp": "2023-11-02T00:30:08.276Z",
        "user_role": "Ops",
        "user_name": 'A "B", C\nD',
        "user_email": "",
        "message_id": "",
    }
    assert row | expected == row
    assert json.loads(row["properties"]) == mixed
    assert "timestamp_iso" not in row
    assert result.stdout_bytes.endswith(b"\r\n")


async def test_csv_of_all_events_has_the_columns_of_the_table(
    engine: AsyncEngine, database_url: str
) -> None:
    empty = await run_aside(export, "--format", "csv", url=database_url)
    await fill(engine, SIGNED_UP, ADDED_USER)
    result = await run_aside(export, "--format", "csv", url=database_url)

    assert empty.stdout_bytes == ",".join(COLUMNS).encode() + b"\r\n"
    assert len(table(result)) == 2
    assert list(table(result)[0]) == COLUMNS


FORMULAS = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1",
    'x",=1', "x;=1", "x|-1", "x\t+1", "x\r\n@1", "x'=1", '"=1',
]  # fmt: skip


def runs(cell: str) -> bool:
    """Whether a spreadsheet might run it, or a part of it taken for a cell."""
    risky = set("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
    cuts = set(",;|\"'\t\r\n")
    return cell[:1] in risky or any(
        a in cuts and b in risky - {"\n"} for a, b in pairwise(cell)
    )


@pytest.fixture
def naughty(corpora: Path) -> list[str]:
    strings: list[str] = json.loads((corpora / "blns" / "blns.json").read_bytes())
    assert len(strings) == 515
    return [text for text in strings if text]


async def check_cells(engine: AsyncEngine, url: str, texts: Sequence[str]) -> None:
    """Cells are harmless, and as they were with --raw-cells."""
    names = {f"u{number}": text for number, text in enumerate(texts)}
    await fill(
        engine,
        *(
            SIGNED_UP
            | {"user_id": user, "context": {text: [text, -1]}}
            | {"properties": {"email": "a@b.c", "name": text}}
            for user, text in names.items()
        ),
    )
    options = ["--event", "signed_up", "--typed", "--format", "csv"]

    safe = table(await run_aside(export, *options, url=url))
    raw = table(await run_aside(export, *options, "--raw-cells", url=url))

    assert {row["user_id"]: row["name"] for row in raw} == names
    assert len(safe) == len(names)
    for row in safe:
        text = names[row["user_id"]]
        assert not any(runs(cell) for cell in row.values() if cell != row["name"])
        assert row["name"].replace("'", "") == text.replace("'", "")
        assert (row["name"] != text) == runs(text)
        assert json.loads(row["context"]) == {text: [text, -1]}


async def test_no_formula_reaches_a_spreadsheet(
    engine: AsyncEngine, database_url: str
) -> None:
    assert all(map(runs, FORMULAS))
    await check_cells(engine, database_url, FORMULAS)


async def test_no_naughty_string_reaches_a_spreadsheet_as_a_formula(
    engine: AsyncEngine, database_url: str, naughty: list[str]
) -> None:
    assert any(map(runs, naughty))
    await check_cells(engine, database_url, naughty)


def test_event_that_is_unknown_is_an_error_of_usage() -> None:
    result = run(export, "--event", "signed_out")

    assert result.exit_code == 2
    assert "signed_up, account_added_user" in result.stderr
