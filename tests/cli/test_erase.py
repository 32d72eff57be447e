"""`rollcall erase`: nothing of a person is left, and a retry does not bring it back."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from sqlalchemy import text
from typer.testing import CliRunner, Result

from app.cli.erase import erase
from app.cli.files.export import export
from app.errors import OperatorError
from app.pipeline.json_encode import encode_exactly
from app.pipeline.persons.person import Person
from app.request_errors import UnavailableError
from app.store.engine import create_engine
from app.store.journal.fallback import journal_directory
from app.store.journal.journal import Journal, prepare
from app.store.lifecycle.audit import command_actor
from app.store.lifecycle.person_actions import PersonActions
from tests.support.app.client import Api
from tests.support.pipeline.persons import signed_up
from tests.support.store.entries import record, records

USER = "zoë-4711"
EMAIL = "zoe@example.com"
PERSON = Person(USER, [EMAIL])


OWN = [
    signed_up(user_id=USER, message_id="m1", properties={"email": EMAIL}),
    signed_up(user_id=USER, message_id=f"signed_up:{USER}"),
    signed_up(user_id=EMAIL.upper()),
]
OWN_REJECTED = [
    signed_up(user_id=USER, timestamp="yesterday"),
    signed_up(userId=USER, user_id=USER, properties={"email": f"{EMAIL} "}),
]
MENTIONS = [
    signed_up(user_id="a", message_id=f"invited:{USER}:by:a"),
    signed_up(
        user_id="b", properties={"email": "b@example.com", "by": {USER: [EMAIL]}}
    ),
    signed_up(
        user_id="c", context={"referrer": f"https://x/?u=zo%C3%AB-4711&e={EMAIL}"}
    ),
    signed_up(
        user_id="d", properties={"email": "d@x.org", "raw": '{"u":"zo\\u00eb-4711"}'}
    ),
]
MENTION_REJECTED = [signed_up(user_id="e", timestamp="x", properties={"note": USER})]
OTHERS = [signed_up(user_id="zoë-47110", properties={"email": f"x{EMAIL}"})]


def run(database_url: str, data_dir: Path, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(erase)
    return CliRunner().invoke(
        app,
        ["--user", USER, "--email", EMAIL, *arguments],
        env={
            "ROLLCALL_DATABASE_URL": database_url,
            "ROLLCALL_DATA_DIR": str(data_dir),
        },
    )


async def send_all(api: Api) -> None:
    for event in [*OWN, *OWN_REJECTED, *MENTIONS, *MENTION_REJECTED, *OTHERS]:
        await api.post(event, "/v1/batch" if "batch" in event else "/track")
    assert await api.scalar("SELECT count(*) FROM events") == 8
    assert await api.scalar("SELECT count(*) FROM rejected_events") == 3


async def dump(api: Api) -> str:
    """All rows of all tables as text."""
    tables = await api.rows(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') "
        "AND relnamespace = 'public'::regnamespace AND NOT relispartition"
    )
    rows = []
    for (table,) in tables:
        rows += await api.rows(f"SELECT t::text FROM {table} AS t")
    return "\n".join(row for (row,) in rows)


async def test_erased_person_leaves_no_trace(
    api: Api, database_url: str, tmp_path: Path
) -> None:
    await send_all(api)

    result = await asyncio.to_thread(
        run, database_url, tmp_path, "--mentions", "redact", "--yes"
    )
    assert result.exit_code == 0, result.output
    assert not PERSON.is_in(await dump(api))
    users = await api.rows("SELECT user_id FROM events ORDER BY 1")
    assert [user for (user,) in users] == ["a", "b", "c", "d", "zoë-47110"]
    assert await api.scalar("SELECT count(*) FROM rejected_events") == 1
    assert await api.scalar("SELECT payload FROM rejected_events") == encode_exactly(
        signed_up(user_id="e", timestamp="x", properties={"note": "[erased]"})
    )
    assert await api.scalar("SELECT counts FROM erasures") == {
        "deleted": {"events": 3, "rejected_events": 2},
        "redacted": {"events": 4, "rejected_events": 1},
        "cut": 0,
    }


async def test_retry_of_an_erased_event_is_rejected_as_erased(
    api: Api, database_url: str, tmp_path: Path
) -> None:
    await send_all(api)
    await asyncio.to_thread(run, database_url, tmp_path, "--yes")

    answer = (await api.post(OWN[0])).json()["results"][0]
    assert (answer["status"], answer["kept"]) == ("rejected", False)
    assert [error["code"] for error in answer["errors"]] == ["erased"]
    assert await api.scalar("SELECT count(*) FROM events") == 5


async def test_dry_run_lists_rows_and_changes_nothing(
    api: Api, database_url: str, tmp_path: Path
) -> None:
    await send_all(api)
    before = await dump(api)

    result = await asyncio.to_thread(run, database_url, tmp_path, "--dry-run")
    assert await dump(api) == before
    listed = [line.split("\t")[:2] for line in result.stdout.splitlines()]
    assert listed.count(["own", "events"]) == 3
    assert listed.count(["own", "rejected_events"]) == 2
    assert listed.count(["mention", "events"]) == 4
    assert listed.count(["mention", "rejected_events"]) == 1


async def test_export_of_a_subject_holds_every_row(
    api: Api, database_url: str, tmp_path: Path
) -> None:
    await send_all(api)
    app = typer.Typer()
    app.command()(export)
    env = {"ROLLCALL_DATABASE_URL": database_url, "ROLLCALL_DATA_DIR": str(tmp_path)}
    result = await asyncio.to_thread(
        CliRunner().invoke, app, ["--subject", USER, "--email", EMAIL], env=env
    )

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    found = Counter((line["table"], line["own"]) for line in lines)
    assert found == {
        ("events", True): 3,
        ("rejected_events", True): 2,
        ("events", False): 4,
        ("rejected_events", False): 1,
    }
    [first] = [line["row"] for line in lines if line["row"].get("message_id") == "m1"]
    assert first["user_id"] == USER
    assert first["timestamp"] == "2024-05-06T07:08:09.000Z"
    assert first["properties"] == {"email": EMAIL}


async def fill_journal(data_dir: Path) -> Journal:
    """A journal of this process with an entry of the person and one of another."""
    directory = journal_directory(data_dir)
    prepare(directory)
    journal = Journal(directory, max_bytes=1024**2)
    own = record("buffered", user_id=USER, email=EMAIL)
    await journal.append([[own], records(1)])
    return journal


async def test_entries_in_free_journals_are_stored_and_erased(
    api: Api, database_url: str, tmp_path: Path
) -> None:
    await (await fill_journal(tmp_path)).close()

    result = await asyncio.to_thread(run, database_url, tmp_path, "--yes")
    assert result.exit_code == 0, result.output
    assert list(journal_directory(tmp_path).iterdir()) == []
    assert await api.scalar("SELECT count(*) FROM events") == 1
    assert await api.scalar("SELECT count(erased_at) FROM event_ids") == 1
    assert not PERSON.is_in(await dump(api))


async def test_nothing_is_erased_while_a_journal_in_use_holds_the_person(
    api: Api, database_url: str, tmp_path: Path
) -> None:
    await send_all(api)
    journal = await fill_journal(tmp_path)
    before = await dump(api)

    result = await asyncio.to_thread(
        run, database_url, tmp_path, "--yes", "--wait", "0"
    )
    await journal.close()
    assert isinstance(result.exception, OperatorError)
    assert "Nothing was erased" in result.exception.detail
    assert await dump(api) == before


async def test_page_erases_nothing_while_a_journal_in_use_holds_the_person(
    api: Api, database_url: str, tmp_path: Path
) -> None:
    await send_all(api)
    journal = await fill_journal(tmp_path)
    before = await dump(api)

    actions = PersonActions(
        database_url, journals=journal_directory(tmp_path), wait_s=0
    )
    with pytest.raises(UnavailableError, match="journal still holds"):
        await actions.erase(PERSON, redact=True, actor="key:1")
    await journal.close()
    assert await dump(api) == before


async def test_damaged_journal_with_traces_is_named_after_the_erasure(
    api: Api, database_url: str, tmp_path: Path
) -> None:
    await send_all(api)
    directory = journal_directory(tmp_path)
    prepare(directory)
    damaged = directory / "x.sqlite3.damaged"
    damaged.write_text(f'\0"email\\":\\"{EMAIL.upper()}\\"')

    result = await asyncio.to_thread(run, database_url, tmp_path, "--yes")
    assert isinstance(result.exception, OperatorError)
    assert str(damaged) in result.exception.detail
    assert await api.scalar("SELECT count(*) FROM events") == 5


async def test_table_that_an_older_transaction_reads_is_named(
    api: Api, database_url: str, tmp_path: Path
) -> None:
    await send_all(api)
    reader = create_engine(database_url)
    async with reader.connect() as connection:
        await connection.execute(
            text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        )
        await connection.execute(text("SELECT count(*) FROM sources"))
        result = await asyncio.to_thread(run, database_url, tmp_path, "--yes")
    await reader.dispose()
    assert result.exit_code == 0, result.output
    assert "may keep deleted rows" in result.stderr
    assert "rejected_events" in result.stderr
    result = await asyncio.to_thread(run, database_url, tmp_path, "--yes")
    assert "may keep deleted rows" not in result.stderr


async def test_erasure_is_in_the_audit_log_with_its_receipt(
    api: Api, database_url: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(run, database_url, tmp_path, "--yes")
    [row] = await api.rows(
        "SELECT actor, CAST(subject AS uuid) = erasures.id FROM audit_log, erasures "
        "WHERE action = 'erase'"
    )
    assert tuple(row) == (command_actor(), True)


@pytest.mark.parametrize(
    ("command", "arguments", "option"),
    [
        (erase, ["--user", "", "--yes", "--mentions", "redact"], "--user"),
        (erase, ["--user", USER, "--email", " ", "--yes"], "--email"),
        (erase, ["--user", USER, "--email", "@", "--yes"], "--email"),
        (export, ["--subject", " "], "--subject"),
        (export, ["--email", EMAIL], "--email"),
    ],
)
def test_blank_names_are_refused(
    command: Callable[..., None], arguments: list[str], option: str
) -> None:
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert option in result.stderr
