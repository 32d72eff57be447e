"""`rollcall rejected` in this process, and rejected events for it."""

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner, Result

from app.cli.quarantine.commands import rejected
from app.pipeline.issues import Issue
from app.pipeline.rejection import MAX_PAYLOAD
from tests.support.pipeline.verdicts import signed_up_with
from tests.support.store.rejections import commit, rejection

Run = Callable[..., Awaitable[Result]]


def runner_on(database_url: str) -> Run:
    """Runs the command with these arguments, in a thread: it has a loop of its own."""

    def invoke(*arguments: str, answer: str = "", url: str = database_url) -> Result:
        return CliRunner().invoke(
            rejected, arguments, input=answer, env={"ROLLCALL_DATABASE_URL": url}
        )

    async def run(*arguments: str, **options: str) -> Result:
        return await asyncio.to_thread(invoke, *arguments, **options)

    return run


def lines(result: Result) -> list[str]:
    """What a command that went well has answered."""
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


async def fill(engine: AsyncEngine) -> None:
    """Two that pass today, two that do not, and three that a replay leaves alone."""
    conflict = Issue("id_conflict", "", "Another is stored.")
    await commit(
        engine,
        *(rejection(signed_up_with(message_id=f"m{n}")) for n in (1, 2)),
        *(rejection({"event": "signed_up", "n": n}, source="crm") for n in (1, 2)),
        *(rejection({"n": n}, error=conflict) for n in (1, 2)),
        rejection({"n": "x" * MAX_PAYLOAD}),
    )
