"""`rollcall erase`."""

import asyncio
from enum import StrEnum
from typing import Annotated

import typer

from app.cli.configuration import read_settings
from app.cli.database import echo_err, open_checked
from app.pipeline.person import Person
from app.store.journal.fallback import journal_directory
from app.store.journal.traces import (
    JournalTraces,
    erase_from_free_journals,
    find_in_journals,
)
from app.store.lifecycle.audit import command_actor
from app.store.lifecycle.erasure import Erasure, erase_person, find_person, scrub


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
            "replace the mentions by [erased]."
        ),
    ] = Mentions.list,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be erased.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase one person: their events, rejected events and journal entries.

    The ids of the erased events are kept, so that a retry or an import of them is
    rejected with the code `erased`. Backups and the write-ahead log keep the data until
    they expire.
    """
    person = Person(user, email or [])
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
            typer.confirm(
                f"Erase {len(found.own)} rows for good?", abort=True, err=True
            )
        done = asyncio.run(
            erase_person(
                database.url,
                person,
                redact=mentions is Mentions.redact,
                buffered=buffered,
                actor=command_actor(),
            )
        )
        erase_from_free_journals(journals, person)
        left = asyncio.run(scrub(database.url, done.tables))
    if left:
        echo_err(
            "The files of these tables keep deleted rows until they are rewritten by "
            f"their owner (VACUUM FULL): {', '.join(left)}."
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
        f"{len(buffered.own) + buffered.rejected} entries of the person and "
        f"{buffered.mentions} mentions."
    )
    for path in buffered.damaged:
        echo_err(f"{path} is a damaged journal that holds traces; delete it by hand.")
