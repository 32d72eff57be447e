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

from app.cli.files.import_events import import_events
from app.errors import ConfigurationError, DatabaseError
from app.pipeline.timestamp import format_timestamp
from app.store.tables import events, rejected_events, sources
from tests.support.cli.files import event, ndjson, run, run_aside, write
from tests.support.eventually import eventually
from tests.support.pipeline.verdicts import SIGNED_UP, without
from tests.support.service.process import ROLLCALL, environment, is_gone, until
from tests.support.store.entries import counts, rows

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
async def test_import_stores_every_event_of_a_file(
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


async def test_import_keeps_to_the_caps_of_the_quarantine(
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


async def test_second_import_stores_nothing_new(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "e", ndjson(*EVENTS, BAD))

    await import_file(path, database_url)
    result = await import_file(path, database_url)

    assert await counts(engine) == (3, 3, 1)
    told = summary(result)
    assert told | {"stored": 0, "stored already": 3, "rejected": 1} == told
    assert result.exit_code == 0


async def test_rejected_events_have_the_id_of_the_import(
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
    assert "1 stored already, 1 with other content\n" in result.stderr
    assert summary(result)["rejected"] == 3
    assert summary(result)["error missing_field"] == 2
    assert summary(result)["error timestamp_out_of_range"] == 1
    assert summary(result)["warning time_assumed_midnight"] == 1
    assert result.exit_code == 0


async def test_unreadable_line_is_named_and_the_rest_is_stored(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    content = ndjson(EVENTS[0]) + b"{broken\n" + ndjson(EVENTS[1])

    result = await import_file(write(tmp_path / "e", content), database_url)

    assert (await counts(engine))[0] == 2
    assert "line 2: not read: Expecting property name" in result.stderr
    assert summary(result)["not read"] == 1
    assert result.exit_code == 1


async def test_at_most_a_hundred_unreadable_lines_are_named(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    content = b"x\n" * 1500 + ndjson(EVENTS[0])

    result = await import_file(write(tmp_path / "e", content), database_url)

    assert result.stderr.count(": not read: ") == 100
    assert "`rollcall validate` names every line" in result.stderr
    assert summary(result)["not read"] == 1500
    assert (await counts(engine))[0] == 1


async def test_empty_file_exits_with_0(
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
def test_operator_errors_are_raised(
    tmp_path: Path, options: list[str], error: type[Exception]
) -> None:
    result = run(import_events, write(tmp_path / "e.json", ndjson(*EVENTS)), *options)

    assert isinstance(result.exception, error)


def test_usage_errors_exit_with_2(tmp_path: Path) -> None:
    assert run(import_events, tmp_path / "nothing", "--source", "a").exit_code == 2
    assert run(import_events, tmp_path, "--source", "a").exit_code == 2
    assert run(import_events, write(tmp_path / "e", b"")).exit_code == 2


async def test_csv_options_are_refused_for_json(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "e.json", ndjson(*EVENTS))

    result = await import_file(path, database_url, "--map", "user_id=uid")

    assert isinstance(result.exception, ConfigurationError)
    assert await counts(engine) == (0, 0, 0)


async def test_several_files_are_stored_as_one_import(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    first = write(tmp_path / "a.ndjson", ndjson(EVENTS[0], BAD) + b"{broken\n")
    second = write(tmp_path / "b.json.gz", json.dumps(EVENTS[1:]).encode())
    calls = write(tmp_path / "c", ndjson({"type": "identify"}, {"batch": [EVENTS[2]]}))

    result = await run_aside(
        import_events, first, second, calls, "--source", "crm", url=database_url
    )

    assert await counts(engine) == (3, 3, 1)
    assert "a.ndjson line 3: not read: " in result.stderr
    found = summary(result)
    expected = {"stored": 3, "stored already": 1, "rejected": 1, "not read": 1}
    assert found | expected | {"ignored": 1} == found
    assert len({row.received_at for row in await rows(engine, events)}) == 1
    assert result.exit_code == 1


async def test_summary_counts_every_error_and_warning(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    bad = BAD | {"timestamp": "now"}
    assumed = [event(n, timestamp="2023-11-02T00:30:08") for n in range(3)]

    result = await import_file(
        write(tmp_path / "e", ndjson(bad, *assumed)), database_url
    )

    found = summary(result)
    assert found["error missing_field"] == 1
    assert found["error invalid_timestamp"] == 1
    assert found["warning offset_assumed_utc"] == 3
    assert await counts(engine) == (3, 3, 1)


async def test_warnings_of_a_file_are_stored(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    content = (
        b"event,user_id,timestamp,properties.email,properties.name,properties.seats\n"
        b'signed_up,u,2023-11-02 01:30:08,a@b.c,A,"1,234"\n'
    )

    await import_file(
        write(tmp_path / "e.csv", content),
        database_url,
        *("--timezone", "Europe/Berlin", "--map-type", "properties.seats=number"),
    )

    [row] = await rows(engine, events)
    assert row.timestamp == datetime(2023, 11, 2, 0, 30, 8, tzinfo=UTC)
    assert sorted(warning["code"] for warning in row.warnings) == [
        "cell_kept_as_text",
        "time_converted",
    ]


@contextmanager
def importing(url: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a process of its own, which reads from the test."""
    with subprocess.Popen(
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
    # Another child tracks the resources of multiprocessing.
    return [
        int(child)
        for child in children
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


async def until_stored(engine: AsyncEngine, count: int) -> None:
    async def are_stored() -> bool:
        return (await counts(engine))[0] >= count

    await eventually(are_stored)


async def test_import_after_a_killed_one_ends_with_exactly_the_rows(
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
        await asyncio.to_thread(
            until, partial(is_gone, helper), within_s=60, what="gone"
        )
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


def test_memory_is_bounded_for_any_size(database_url: str) -> None:
    """100 MB, of which 15 MB are events that would take 200 MB all at once."""
    dense = SIGNED_UP["properties"] | {"x": ["ab"] * 21_000}
    sent = (event(number, properties=dense) for number in range(120))
    pieces = (b" " * 700_000 + json.dumps(each).encode() + b"," for each in sent)
    with importing(database_url, "-") as process:
        assert process.stdin is not None
        with process.stdin as stdin:
            for piece in chain([b"["], pieces):
                stdin.write(piece)
            # Everything but the buffer of the pipe is read. The kernel's figure at the
            # end would include this process before it started the command.
            peak = peak_kib(process.pid)
            stdin.write(b"null]")
        assert process.wait() == 0

    # About 150 MB, and 60 more where coverage watches.
    assert peak < 260 * 1024
