"""`rollcall erase`."""

import asyncio
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from app.cli.configuration import read_settings
from app.cli.database import echo_err, open_checked
from app.components.policy import make_quarantine
from app.errors import OperatorError
from app.pipeline.persons.person import Person
from app.settings import Settings
from app.store.journal.fallback import journal_directory
from app.store.journal.inspection import drain_free
from app.store.journal.traces import (
    JournalTraces,
    find_in_journals,
    wait_until_stored,
)
from app.store.lifecycle.audit import command_actor
from app.store.lifecycle.erasure import Erasure, erase_person, find_person, scrub
from app.store.operator_session import run_with_engine


class Mentions(StrEnum):
    """Treatment of other people's events that mention the person."""

    list = "list"
    redact = "redact"


def erase(
    *,
    user: Annotated[str, typer.Option("--user", help="User id of the person.")],
    email: Annotated[
        list[str] | None,
        typer.Option("--email", help="Email address of the person; repeatable."),
    ] = None,
    mentions: Annotated[
        Mentions,
        typer.Option(
            help="Events of other people that mention the person: list their ids, or "
            "replace the mentions by \\[erased]."
        ),
    ] = Mentions.list,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be erased.")
    ] = False,
    wait: Annotated[
        float,
        typer.Option(
            min=0, metavar="SECONDS", help="Time for journals to be stored first."
        ),
    ] = 30,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase one person: their events, rejected events and journal entries.

    Run it as the user of the service, on each machine that has a journal. The ids of
    the erased events are kept, so that a retry or an import of them is rejected with
    the code `erased`. Backups and the write-ahead log keep the data until they expire.
    """
    person = person_of(user, email, option="--user")
    settings = read_settings()
    journals = journal_directory(settings.data_dir)
    with open_checked(settings) as database:
        buffered = find_in_journals(journals, person)
        found = asyncio.run(find_person(database.url, person))
        _list(found, buffered)
        if dry_run:
            echo_err("Nothing was changed.")
            return
        if not yes:
            count = len(found.own) + buffered.own
            typer.confirm(f"Erase {count} rows for good?", abort=True, err=True)
        if buffered.files:
            _drain(settings, database.url, person, wait_s=wait)
        done = asyncio.run(
            erase_person(
                database.url,
                person,
                redact=mentions is Mentions.redact,
                actor=command_actor(),
            )
        )
        left = asyncio.run(scrub(database.url, done.tables))
    _report(done, left)
    after = find_in_journals(journals, person)
    if after.files or after.damaged:
        raise OperatorError(
            "These files hold traces of the person. Delete damaged ones by hand; if a "
            "journal is among them, run this command again: "
            f"{', '.join(map(str, [*after.files, *after.damaged]))}."
        )


def person_of(user: str, emails: list[str] | None, *, option: str) -> Person:
    """The person of a command's options.

    Raises:
        BadParameter: a name is blank, as of an unset variable; it would be found in
            everything.
    """
    if not user.strip():
        raise typer.BadParameter("The user id is blank.", param_hint=option)
    for email in emails or ():
        if "@" not in email.strip("@ "):
            raise typer.BadParameter(
                f"{email!r} is no email address.", param_hint="--email"
            )
    return Person(user, emails or ())


def _drain(settings: Settings, url: str, person: Person, *, wait_s: float) -> None:
    """Have the journals that hold traces stored, so that the erasure finds them.

    A running service stores its own; those of ended processes are stored here.

    Raises:
        OperatorError: they still hold traces after the time.
    """
    journals = journal_directory(settings.data_dir)
    work = partial(
        drain_free,
        directory=journals,
        timeout_s=settings.commit_timeout_seconds,
        quarantine=make_quarantine(settings),
    )
    files = asyncio.run(
        wait_until_stored(
            journals,
            person,
            within_s=wait_s,
            drain=partial(run_with_engine, url, work),
        )
    )
    if files:
        raise OperatorError(
            "Nothing was erased: these journals still hold events of the person. "
            "Find out with `rollcall journal status` why they are not stored, then "
            f"run this command again: {', '.join(map(str, files))}."
        )


def _report(done: Erasure, left: list[str]) -> None:
    if left:
        echo_err(
            "The files of these tables may keep deleted rows until their owner "
            f"rewrites them (VACUUM FULL): {', '.join(left)}."
        )
    if done.cut:
        echo_err(
            f"{done.cut} rejected events with a cut payload mention the person; "
            "whether they are about the person cannot be seen."
        )
    echo_err(f"Receipt {done.receipt}, in the table erasures.")


def _list(found: Erasure, buffered: JournalTraces) -> None:
    """Print each row as a line: own or mention, table, id."""
    for role, traces in (("own", found.own), ("mention", found.mentions)):
        for trace in traces:
            typer.echo(f"{role}\t{trace.table}\t{trace.id}")
    echo_err(
        f"{len(found.own)} rows are about the person, {len(found.mentions)} of other "
        f"people mention the person; the journals of this machine hold "
        f"{buffered.own} entries of the person and {buffered.mentions} mentions."
    )
