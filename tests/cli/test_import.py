import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import Result

from app.cli.import_events import import_events
from app.errors import ConfigurationError, DatabaseError
from app.pipeline.timestamp import format_timestamp
from app.store.tables.events import events, rejected_events, sources
from tests.support.entries import counts, rows
from tests.support.input_files import event, ndjson, run, run_aside, write
from tests.support.pipeline import SIGNED_UP, without
from tests.support.service import ROLLCALL, environment, is_gone, until

EVENTS = [event(number) for number in range(3)]
BAD = without(event(9), "user_id")


async def import_file(path: Path, url: str, *options: str) -> Result:
    return await run_aside(import_events, path, "--source", "crm", *options, url=url)


def summary(result: Result) -> dict[str, int]:
    """The counts at the end, by what they count."""
    found = {}
    for line in result.stderr.splitlines():
        number, _, said = line.strip().partition(" ")
        if number.replace(",", "").isdigit():
            found[said.split(":")[0].split(",")[0]] = int(number.replace(",", ""))
    return found


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("e.ndjson", ndjson(*EVENTS)),
        ("e.jsonl.gz", ndjson(*EVENTS)),
        ("e", ndjson(*EVENTS)),
        ("e.json", json.dumps(EVENTS).encode()),
        ("e.gz", json.dumps(EVENTS, indent=2).encode()),
        ("e.json", json.dumps({"batch": EVENTS}).encode()),
    ],
)
async def test_every_event_of_a_file_is_stored(
    engine: AsyncEngine, database_url: str, tmp_path: Path, name: str, content: bytes
) -> None:
    before = datetime.now(UTC)

    result = await import_file(write(tmp_path / name, content), database_url)

    stored = await rows(engine, events)
    assert {(row.source, row.message_id, row.user_id) for row in stored} == {
        ("crm", f"m{number}", SIGNED_UP["user_id"]) for number in range(3)
    }
    [received_at] = {row.received_at for row in stored}
    assert before <= received_at <= datetime.now(UTC)
    assert summary(result)["stored"] == 3
    assert result.stdout == ""
    assert result.exit_code == 0
    assert [row.name for row in await rows(engine, sources)] == ["crm"]


async def test_the_quarantine_has_the_caps_that_are_set(
    engine: AsyncEngine,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROLLCALL_QUARANTINE_MAX_EVENTS", "1")
    bad = [without(event(number), "user_id") for number in range(3)]
    result = await import_file(write(tmp_path / "e", ndjson(*bad)), database_url)

    assert await counts(engine) == (0, 0, 1)
    assert summary(result)["of these not kept"] == 2
    assert result.exit_code == 1


async def test_a_second_run_stores_nothing_new(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "e", ndjson(*EVENTS, BAD))

    await import_file(path, database_url)
    result = await import_file(path, database_url)

    assert await counts(engine) == (3, 3, 1)
    told = summary(result)
    assert told | {"stored": 0, "stored already": 3, "rejected": 1} == told
    assert result.exit_code == 0


async def test_what_is_rejected_can_be_found_by_the_run(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    late = event(7, timestamp=format_timestamp(datetime.now(UTC) + timedelta(hours=25)))
    soon = event(8, timestamp=format_timestamp(datetime.now(UTC) + timedelta(hours=23)))
    differing = event(8, user_id=SIGNED_UP["user_id"], timestamp="2023-11-02")

    result = await import_file(
        write(tmp_path / "e", ndjson(BAD, late, soon, BAD | {"a": 1}, differing)),
        database_url,
    )

    quarantined = await rows(engine, rejected_events)
    assert sorted(row.reason for row in quarantined) == [
        "id_conflict",
        "missing_field",
        "missing_field",
        "timestamp_out_of_range",
    ]
    [request_id] = {row.request_id for row in quarantined}
    assert f"request_id = '{request_id}'" in result.stderr
    assert "3 rejected: missing_field 2, timestamp_out_of_range 1\n" in result.stderr
    assert "1 stored already, 1 of other content\n" in result.stderr
    assert result.exit_code == 0


async def test_a_line_that_cannot_be_read_is_named_and_the_rest_is_stored(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    content = ndjson(EVENTS[0]) + b"{broken\n" + ndjson(EVENTS[1])

    result = await import_file(write(tmp_path / "e", content), database_url)

    assert (await counts(engine))[0] == 2
    assert "line 2: not read: Expecting property name" in result.stderr
    assert summary(result)["not read"] == 1
    assert result.exit_code == 1


async def test_no_more_than_a_hundred_lines_are_named(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    content = b"x\n" * 1500 + ndjson(EVENTS[0])

    result = await import_file(write(tmp_path / "e", content), database_url)

    assert result.stderr.count(": not read: ") == 100
    assert "`rollcall validate` names every line" in result.stderr
    assert summary(result)["not read"] == 1500
    assert (await counts(engine))[0] == 1


async def test_an_empty_file_is_no_error(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    result = await import_file(write(tmp_path / "e.gz", b""), database_url)

    assert summary(result)["stored"] == 0
    assert result.exit_code == 0
    assert await counts(engine) == (0, 0, 0)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--source", "No Name"], ConfigurationError),
        (["--source", "crm"], DatabaseError),
    ],
)
def test_what_the_operator_can_mend_is_told(
    tmp_path: Path, options: list[str], error: type[Exception]
) -> None:
    result = run(import_events, write(tmp_path / "e.json", ndjson(*EVENTS)), *options)

    assert isinstance(result.exception, error)


def test_errors_of_usage_have_status_2(tmp_path: Path) -> None:
    assert run(import_events, tmp_path / "nothing", "--source", "a").exit_code == 2
    assert run(import_events, tmp_path, "--source", "a").exit_code == 2
    assert run(import_events, write(tmp_path / "e", b"")).exit_code == 2


async def test_the_columns_of_csv_are_for_csv(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "e.json", ndjson(*EVENTS))

    result = await import_file(path, database_url, "--map", "user_id=uid")

    assert isinstance(result.exception, ConfigurationError)
    assert await counts(engine) == (0, 0, 0)


@contextmanager
def importing(url: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a process of its own, which reads what the test writes."""
    with subprocess.Popen(  # noqa: S603 - our own words
        [ROLLCALL, "import", "--source", "crm", *arguments],
        env=environment(database_url=url),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def children_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    # Beside the helper there is what counts the resources of multiprocessing.
    return [
        int(child)
        for child in children
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


async def until_stored(engine: AsyncEngine, count: int) -> None:
    while (await counts(engine))[0] < count:
        pass


async def test_a_run_after_one_that_was_killed_ends_with_exactly_the_rows(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    all_events = [event(number) for number in range(20_000)]
    content = ndjson(*all_events)
    with importing(database_url, "-") as process:
        assert process.stdin is not None
        process.stdin.write(content[: len(content) * 3 // 4])
        process.stdin.flush()
        await until_stored(engine, 2_000)
        [helper] = children_of(process.pid)
        process.kill()
        await asyncio.to_thread(until, partial(is_gone, helper), within_s=20, what="")
    left = (await counts(engine))[0]

    result = await import_file(write(tmp_path / "e", content), database_url)

    assert left < len(all_events)
    assert summary(result)["stored already"] == left
    assert summary(result)["stored"] == len(all_events) - left
    stored = await rows(engine, events)
    assert sorted(row.message_id for row in stored) == sorted(
        each["message_id"] for each in all_events
    )
    assert await counts(engine) == (len(all_events), len(all_events), 0)


def peak_kib(pid: int) -> int:
    """The most that a process has held in memory so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmHWM:")]
    return int(line.split()[1])


def test_memory_is_bounded_whatever_the_size(database_url: str) -> None:
    """100 MB, of which 15 MB are events that would take 200 MB all at once."""
    dense = SIGNED_UP["properties"] | {"x": ["ab"] * 21_000}
    sent = (event(number, properties=dense) for number in range(120))
    pieces = (b" " * 700_000 + json.dumps(each).encode() + b"," for each in sent)
    with importing(database_url, "-") as process:
        assert process.stdin is not None
        with process.stdin as stdin:
            for piece in chain([b"["], pieces):
                stdin.write(piece)
            # All but what a pipe holds is read; the usage that the kernel tells at
            # the end would begin with that of this process.
            peak = peak_kib(process.pid)
            stdin.write(b"null]")
        assert process.wait() == 0

    # About 150 MB, and 60 more where coverage watches.
    assert peak < 260 * 1024
