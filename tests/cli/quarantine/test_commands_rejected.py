import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import Result

from app.errors import ConfigurationError, EventNotFoundError, SchemaError
from app.pipeline.issues import Issue
from app.pipeline.rejection import MAX_PAYLOAD
from app.store.quarantine.caps import Quarantine
from tests.support.cli.rejected import Run, fill, lines, runner_on
from tests.support.pipeline.verdicts import with_properties
from tests.support.service.process import ROLLCALL, environment
from tests.support.store.rejections import commit, count, keep, read, rejection

NOW = datetime.now(UTC)
OTHER = Issue("other", "properties.email", "It is bad.")
ODD = {
    "nan": float("nan"),
    "huge": 10**30,
    "half": "\ud800",
    "empty": {},
    "many": [1, []],
}


@pytest.fixture
def run(database_url: str) -> Run:
    return runner_on(database_url)


async def test_list_prints_one_line_for_each_event_newest_first(
    run: Run, engine: AsyncEngine
) -> None:
    await commit(
        engine,
        rejection({"event": "signed_up"}, received_at=NOW - timedelta(days=1)),
        rejection({"event": "other", "n": 1}, source="crm", error=OTHER),
        rejection({"n": 2}, received_at=NOW),
    )
    ids = await read(engine, "SELECT id FROM rejected_events ORDER BY received_at DESC")

    result = await run("list")

    head, *rows = lines(result)
    headings = ["id", "received", "source", "event", "reason", "first", "error"]
    assert head.split() == headings
    assert [row.split()[0] for row in rows] == [str(id_) for (id_,) in ids]
    assert "2026-11-02 10:20:30Z  crm      other" in rows[2]
    assert "other          properties.email: It is bad." in rows[2]
    assert result.stderr == "3 of 3 shown.\n"


async def test_list_applies_limit_and_filters(run: Run, engine: AsyncEngine) -> None:
    await commit(
        engine,
        rejection({"event": "a", "n": 1}, received_at=NOW - timedelta(hours=3)),
        rejection({"event": "b", "n": 2}, received_at=NOW, source="crm"),
        rejection({"event": "c", "n": 3}, received_at=NOW, error=OTHER),
    )

    async def listed(*arguments: str) -> str:
        output = (await run("list", "--json", *arguments)).stdout.splitlines()
        return "".join(sorted(json.loads(line)["event"] for line in output))

    assert await listed() == "abc"
    assert await listed("--since", "2h") == "bc"
    assert await listed("--source", "crm") == "b"
    assert await listed("--reason", "other") == "c"
    assert await listed("--event", "a") == "a"
    assert await listed("--event", "a", "--since", "2h") == ""
    assert len(await listed("--limit", "2")) == 2
    assert (await run("list", "--limit", "2")).stderr == "2 of 3 shown.\n"


async def test_list_json_prints_a_line_for_each_event_without_its_payload(
    run: Run, engine: AsyncEngine
) -> None:
    row = rejection({"event": "a", "message_id": "m1"}, error=OTHER)
    await commit(engine, row, rejection({"event": "b"}, received_at=NOW))
    await keep(engine, [rejection({})] * 2, Quarantine(max_events=0))

    result = await run("list", "--json")
    events = {
        line["event"]: line for line in map(json.loads, result.stdout.splitlines())
    }

    assert events.keys() == {"a", "b"}
    assert datetime.fromisoformat(events["a"].pop("stored_at")) > NOW
    assert events["a"] == {
        "id": row.id,
        "received_at": "2026-11-02T10:20:30.400500Z",
        "source": "billing",
        "event": "a",
        "message_id": "m1",
        "reason": "other",
        "errors": [OTHER.as_json()],
        "warnings": [],
        "payload_bytes": row.payload_bytes,
        "truncated": False,
        "request_id": "request-1",
        "corrected_at": None,
        "corrected_as": None,
    }
    told, shown = result.stderr.splitlines()
    assert told.startswith("billing: 2 more were not kept")
    assert shown == "2 of 2 shown."


async def test_list_reports_dropped_events(run: Run, engine: AsyncEngine) -> None:
    full = Quarantine(max_events=0)
    rows = [rejection({}), rejection({}, source="crm", received_at=NOW)]
    await keep(engine, [*rows, rows[0]], full)

    def told(result: Result) -> list[str]:
        return [line.split(" were not kept")[0] for line in lines(result)[1:]]

    assert told(await run("list")) == ["billing: 2 more", "crm: 1 more"]
    assert told(await run("list", "--source", "billing")) == ["billing: 2 more"]
    assert told(await run("list", "--since", "1h")) == ["crm: 1 more"]


async def test_control_characters_of_senders_never_reach_the_terminal(
    run: Run, engine: AsyncEngine
) -> None:
    name = "\x1b[2J[red]a\r\n\u202eb\x9b"
    row = rejection({"event": name, "message_id": name})
    await commit(engine, row)

    for arguments in (["list"], ["show", row.id]):
        output = (await run(*arguments)).stdout
        assert "\ufffd[2J[red]a\ufffd\ufffd\ufffdb\ufffd" in output
        assert all(c.isprintable() or c == "\n" for c in output)


async def test_show_prints_all_fields_and_the_exact_payload(
    run: Run, engine: AsyncEngine
) -> None:
    row = rejection(with_properties({"properties": ODD}, text='{ "a\\": [1,2] }'))
    await commit(engine, row)

    told, payload = (await run("show", row.id)).stdout.split("payload:\n")

    [stored_at] = [line for line in told.splitlines() if line.startswith("stored_at")]
    assert datetime.fromisoformat(stored_at.split()[1]) > NOW
    assert [line for line in told.splitlines() if line != stored_at] == [
        f"id            {row.id}",
        "received_at   2026-11-02T10:20:30.400500Z",
        "source        billing",
        "event",
        "message_id",
        "reason        unknown_event",
        f"payload_bytes {row.payload_bytes}",
        "truncated     False",
        "request_id    request-1",
        "corrected_at",
        "corrected_as",
        "errors:",
        "  unknown_event: event: No such event.",
    ]
    assert payload == (
        '{\n  "properties": {\n    "empty": {},\n    "half": "\\ud800",\n'
        f'    "huge": {10**30},\n    "many": [\n      1,\n      []\n    ],\n'
        '    "nan": NaN,\n'
        '    "text": "{ \\"a\\\\\\": [1,2] }"\n  }\n}\n'
    )


async def test_show_prints_a_truncated_payload(run: Run, engine: AsyncEngine) -> None:
    row = rejection({"a": "x" * MAX_PAYLOAD})
    await commit(engine, row)

    output = (await run("show", row.id)).stdout
    assert "truncated     True" in output
    assert output.endswith('{\n  "a": "' + "x" * (MAX_PAYLOAD - 6) + "\n")


@pytest.mark.parametrize("id_", ["x", "0248331d-6a40-8133-ba42-e4764ba1760c"])
async def test_unknown_id_refers_to_the_list(run: Run, id_: str) -> None:
    result = await run("show", id_)

    assert isinstance(result.exception, EventNotFoundError)
    assert "rollcall rejected list" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "answer", "outcome"),
    [
        (["--source", "crm"], "y\n", (5, "2 deleted.")),
        (["--source", "crm"], "n\n", (7, "Delete 2 rejected events?")),
        (["--source", "crm"], "", (7, "Delete 2 rejected events?")),
        (["--source", "crm", "--yes"], "", (5, "2 deleted.")),
        (["--reason", "id_conflict", "--yes"], "", (5, "2 deleted.")),
        (["--all", "--yes"], "", (0, "7 deleted.")),
        (["--all"], "n\n", (7, "Delete 7 rejected events?")),
        (["--since", "1h"], "", (7, "0 deleted.")),
    ],
)
async def test_purge_deletes_the_selection_after_a_confirmation(
    run: Run,
    engine: AsyncEngine,
    arguments: list[str],
    answer: str,
    outcome: tuple[int, str],
) -> None:
    left, said = outcome
    await fill(engine)

    result = await run("purge", *arguments, answer=answer)

    assert said in result.stderr
    assert result.exit_code == ("deleted" not in said)
    assert await count(engine) == left


async def test_purge_leaves_events_that_arrive_before_it_is_confirmed(
    engine: AsyncEngine, database_url: str
) -> None:
    await fill(engine)
    process = await asyncio.create_subprocess_exec(
        *(ROLLCALL, "rejected", "purge", "--all"),
        env=environment(database_url=database_url),
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    await process.stderr.readuntil(b"Delete 7 rejected events?")
    await commit(engine, rejection({"n": "later"}, received_at=NOW))
    process.stdin.write(b"y\n")
    assert b"7 deleted." in (await process.communicate())[1]
    assert await count(engine) == 1


@pytest.mark.parametrize(
    "arguments", [[], ["--yes"], ["--all", "--yes", "--source", "crm"]]
)
async def test_purge_requires_a_selection(
    run: Run, engine: AsyncEngine, arguments: list[str]
) -> None:
    await fill(engine)

    result = await run("purge", *arguments)

    assert isinstance(result.exception, ConfigurationError)
    assert "--all" in str(result.exception)
    assert await count(engine) == 7


async def test_invalid_time_is_refused(run: Run) -> None:
    result = await run("list", "--since", "yesterday")

    assert result.exit_code == 2
    assert "--since" in result.stderr


@pytest.mark.parametrize("command", [["list"], ["replay"], ["purge", "--all"]])
async def test_database_without_the_schema_is_refused(
    run: Run, empty_database_url: str, command: list[str]
) -> None:
    result = await run(*command, url=empty_database_url)

    assert isinstance(result.exception, SchemaError)
