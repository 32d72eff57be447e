import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner, Result

from app.cli import build_commands
from app.declarations.declaration_set import ready_files
from app.errors import OperatorError
from tests.support.cli.files import NOWHERE
from tests.support.events.declared import TRIAL, trial_with, write_trial
from tests.support.store.rejections import commit, rejection

Run = Callable[..., Awaitable[Result]]
BROKEN = TRIAL.replace('type = "integer"', 'type = "int"')


def run(
    *arguments: str | Path, events_dir: Path | str = "", url: str = NOWHERE
) -> Result:
    """Run `rollcall` in this process, which must have no event loop."""
    return CliRunner().invoke(
        build_commands(),
        [str(argument) for argument in arguments],
        env={
            "ROLLCALL_DATABASE_URL": url,
            "ROLLCALL_EVENTS_DIR": str(events_dir),
            "ROLLCALL_JOURNAL": "off",
            "ROLLCALL_TEST_CITUS_URL": None,  # of the tests, not a setting
        },
    )


@pytest.fixture
def on_database(tmp_path: Path, database_url: str) -> Run:
    """Runs `rollcall` in a thread, on this test's database and declarations."""

    async def run_aside(*arguments: str | Path) -> Result:
        directory = tmp_path / "events"
        return await asyncio.to_thread(
            run, *arguments, events_dir=directory, url=database_url
        )

    return run_aside


def test_check_needs_no_database_if_it_is_offline(tmp_path: Path) -> None:
    write_trial(tmp_path)
    good = run("events", "check", tmp_path, "--offline")
    assert (good.exit_code, good.stdout) == (0, "")
    assert "1 declarations, 0 problems." in good.stderr

    path = write_trial(tmp_path, BROKEN)
    bad = run("events", "check", "--offline", events_dir=tmp_path)
    assert bad.exit_code == 1
    assert bad.stdout.startswith(f"{path}:19: properties.seats.type: Unknown type.")
    write_trial(tmp_path, TRIAL.replace('"seats": 5', '"seats": 0'))
    rejected = run("events", "check", tmp_path, "--offline")
    assert f"{path}:4: The sample is rejected: properties.seats" in rejected.stdout


def test_check_needs_a_directory() -> None:
    result = run("events", "check", "--offline")
    assert isinstance(result.exception, OperatorError)
    assert "ROLLCALL_EVENTS_DIR" in result.exception.detail


def test_list_and_show_cover_built_in_and_declared_events(tmp_path: Path) -> None:
    write_trial(tmp_path)
    listed = run("events", "list", events_dir=tmp_path)
    assert listed.exit_code == 0
    for name in ("signed_up", "account_added_user", "trial_started"):
        assert name in listed.stdout
    shown = run("events", "show", "trial_started", events_dir=tmp_path).stdout
    assert "plan, plan_name (text, required): The plan." in shown
    schema = run("events", "show", "signed_up", "--schema", events_dir=tmp_path).stdout
    assert json.loads(schema)["title"] == "signed_up"
    unknown = run("events", "show", "trial_start", events_dir=tmp_path)
    assert isinstance(unknown.exception, OperatorError)
    assert "no event `trial_start`" in unknown.exception.detail


def test_schema_is_json() -> None:
    schema = json.loads(run("events", "schema").stdout)
    assert set(schema["required"]) == {"name", "description", "sample"}


def test_import_writes_files_that_check_accepts(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(
        json.dumps(
            {
                "title": "Trial Extended",
                "type": "object",
                "properties": {"days": {"type": "integer", "multipleOf": 7}},
            }
        )
    )
    output = tmp_path / "out"
    done = run("events", "import", plan, "--output", output)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() == str(output / "trial_extended.toml")
    assert "not expressed: days: `multipleOf`" in done.stderr
    assert run("events", "check", output, "--offline").exit_code == 0

    again = run("events", "import", plan, "--output", output)
    assert (again.exit_code, again.stdout) == (1, "")
    assert run("events", "import", plan, "--output", output, "--overwrite").stdout
    plan.write_text("[")
    bad = run("events", "import", plan, "--output", output)
    assert isinstance(bad.exception, OperatorError)


def test_invalid_declaration_stops_every_command(tmp_path: Path) -> None:
    path = write_trial(tmp_path, BROKEN)
    payload = tmp_path / "events.ndjson"
    payload.write_text("{}")
    for arguments in (["migrate"], ["validate", payload], ["events", "list"]):
        result = run(*arguments, events_dir=tmp_path)
        assert isinstance(result.exception, OperatorError), arguments
        assert f"{path}:19:" in result.exception.detail


async def test_check_refuses_an_incompatible_change_unless_allowed(
    on_database: Run, tmp_path: Path
) -> None:
    write_trial(tmp_path / "events")
    assert (await on_database("events", "check")).exit_code == 0
    migrated = await on_database("migrate")
    assert "The view trial_started was created" in migrated.stderr
    changed = TRIAL.replace('type = "integer"', 'type = "number"')
    path = write_trial(tmp_path / "events", changed)

    refused = await on_database("events", "check")
    assert refused.exit_code == 1
    assert f"{path}:19: Incompatible change: seats" in refused.stdout
    allowed = await on_database("events", "check", "--allow")
    assert (allowed.exit_code, allowed.stdout) == (0, "")
    assert "Accepted by --allow" in allowed.stderr
    assert (await on_database("migrate")).exit_code == 0
    assert (await on_database("events", "check")).exit_code == 0


async def test_declared_event_is_validated_imported_and_exported(
    on_database: Run, tmp_path: Path
) -> None:
    write_trial(tmp_path / "events")
    file = tmp_path / "trials.ndjson"
    good = trial_with({"plan_name": "team", "seats": 2}, group_id="a1")
    file.write_text(f"{json.dumps(good)}\n{json.dumps(trial_with({}))}\n")
    await on_database("migrate")

    validated = await on_database("validate", file)
    assert "1 valid, 1 rejected" in validated.stderr
    assert "properties.plan" in validated.stdout
    await on_database("import", file, "--source", "crm")
    typed = await on_database("export", "--event", "trial_started", "--typed")
    [row] = map(json.loads, typed.stdout.splitlines())
    assert (row["plan"], row["seats"], row["properties"]) == (
        "team",
        2,
        good["properties"],
    )
    as_csv = await on_database(
        "export", *["--typed", "--event", "trial_started", "--format", "csv"]
    )
    header, line = as_csv.stdout.splitlines()
    assert header.endswith(",plan,seats")
    assert line.endswith(",team,2")
    unknown = await on_database("export", "--event", "nope")
    assert unknown.exit_code == 2
    assert (await on_database("export", "--typed")).exit_code == 2


async def test_export_of_an_event_without_a_view_names_the_command(
    on_database: Run, tmp_path: Path
) -> None:
    write_trial(tmp_path / "events")
    result = await on_database("export", "--event", "trial_started", "--typed")

    assert isinstance(result.exception, OperatorError)
    assert "rollcall migrate" in result.exception.detail


async def test_replay_moves_unknown_events_once_they_are_declared(
    on_database: Run, tmp_path: Path, engine: AsyncEngine
) -> None:
    await commit(
        engine,
        *(
            rejection(trial_with({"plan": "team", "seats": n + 1}, group_id="a1"))
            for n in range(1_000)
        ),
    )
    (tmp_path / "events").mkdir()
    before = await on_database("rejected", "replay")
    assert "0 stored" in before.stdout
    write_trial(tmp_path / "events")

    moved = await on_database("rejected", "replay", "--event", "trial_started")
    assert "1000 stored, 0 already stored, 0 still rejected." in moved.stdout
    again = await on_database("rejected", "replay", "--event", "trial_started")
    assert "0 stored, 0 already stored, 0 still rejected." in again.stdout
    async with engine.connect() as connection:
        counts = await connection.execute(
            text(
                "SELECT count(*), count(DISTINCT id),"
                " (SELECT count(*) FROM rejected_events) FROM events"
            )
        )
        assert tuple(counts.one()) == (1_000, 1_000, 0)


@pytest.mark.on_citus
async def test_adopt_validates_events_that_were_stored_undeclared(
    on_database: Run,
    tmp_path: Path,
    engine: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "events").mkdir()
    file = tmp_path / "trials.ndjson"
    good = [
        trial_with(
            {"plan": "team", "seats": n + 1.0}, group_id="a1", message_id=f"m{n}"
        )
        for n in range(3)
    ]
    bad = [trial_with({"plan": 5}, group_id="a1"), trial_with({"plan": "a"})]
    titled = good[0] | {"event": "Trial Started", "message_id": "titled"}
    file.write_text("".join(json.dumps(e) + "\n" for e in (*good, *bad, titled)))
    monkeypatch.setenv("ROLLCALL_UNKNOWN_EVENTS", "accept")
    stored = await on_database("import", file, "--source", "crm")
    assert stored.exit_code == 0, stored.stderr
    undeclared = await on_database("events", "adopt", "trial_started")
    assert isinstance(undeclared.exception, OperatorError)

    write_trial(tmp_path / "events")
    adopted = await on_database("events", "adopt", "trial_started")
    assert "4 adopted, 2 do not pass" in adopted.stderr
    assert "missing_field group_id" in adopted.stdout
    assert "invalid_type properties.plan" in adopted.stdout
    again = await on_database("events", "adopt", "trial_started")
    assert "0 adopted, 2 do not pass" in again.stderr
    async with engine.connect() as connection:
        warned = await connection.execute(
            text(
                "SELECT count(*), count(*) FILTER (WHERE warnings::text LIKE"
                " '%undeclared_event%') FROM events WHERE event = 'trial_started'"
            )
        )
        assert tuple(warned.one()) == (6, 2)


def test_ready_declarations_are_listed_if_the_setting_names_them() -> None:
    result = CliRunner().invoke(
        build_commands(),
        ["events", "list"],
        env={"ROLLCALL_READY_EVENTS": "b2b_saas", "ROLLCALL_EVENTS_DIR": ""},
    )
    for path in ready_files("b2b_saas"):
        assert path.stem in result.stdout
