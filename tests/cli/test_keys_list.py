"""`rollcall keys list` prints notes as they were given."""

import asyncio

from typer.testing import CliRunner

from app.cli.keys import keys


async def test_brackets_in_a_note_are_no_markup(database_url: str) -> None:
    def run(*arguments: str) -> str:
        env = {"ROLLCALL_DATABASE_URL": database_url, "ROLLCALL_JOURNAL": "off"}
        done = CliRunner().invoke(keys, arguments, env=env)
        assert done.exit_code == 0, done.output
        return done.stdout

    note = "[prod] Oslo [/x] :smile:"
    await asyncio.to_thread(run, "create", "--source", "crm", "--note", note)
    assert note in await asyncio.to_thread(run, "list")
