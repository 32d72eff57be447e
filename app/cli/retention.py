"""`rollcall retention`."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from app.cli.configuration import read_settings
from app.cli.database import Database, echo_err, open_checked
from app.errors import ConfigurationError
from app.settings import Settings
from app.store.lifecycle.audit import command_actor
from app.store.lifecycle.retention import Limit, expire_events, expired_weeks


def retention(
    *,
    days: Annotated[
        int | None,
        typer.Option(
            min=1, max=36_500, help="Maximum age. Default: ROLLCALL_RETENTION_DAYS."
        ),
    ] = None,
    event_time: Annotated[
        bool,
        typer.Option(
            "--event-time",
            help="Delete events by the time at which they happened, not by whole weeks "
            "of storage. Default: ROLLCALL_RETENTION_BASIS.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count the expired events.")
    ] = False,
) -> None:
    """Delete events older than a limit, now instead of at the next full hour.

    Safe to interrupt and to repeat. Deleted events are gone for good; an event that is
    sent again afterwards is stored again.
    """
    settings = read_settings()
    limit = _limit(settings, days=days, event_time=event_time)
    with open_checked(settings) as database:
        if dry_run:
            _count(database, limit)
            return
        deleted = database.run(
            expire_events, limit=limit, actor=command_actor(), report=_report
        )
    if deleted is None:
        echo_err("Another process deletes expired events now.")
        raise typer.Exit(1)
    echo_err(f"{deleted} events deleted. `rollcall migrate` drops empty weeks.")


def _limit(settings: Settings, *, days: int | None, event_time: bool) -> Limit:
    days = days or settings.retention_days
    if days is None:
        raise ConfigurationError(
            "No maximum age: set ROLLCALL_RETENTION_DAYS or give --days."
        )
    return Limit(days, "timestamp" if event_time else settings.retention_basis)


def _count(database: Database, limit: Limit) -> None:
    weeks = database.transact(expired_weeks, limit=limit, now=datetime.now(UTC))
    for week in weeks:
        typer.echo(f"{week.monday:%Y-%m-%d}\t{week.events}")
    echo_err(
        f"{sum(week.events for week in weeks)} events in {len(weeks)} weeks of storage"
        " have expired; nothing was deleted."
    )


def _report(partition: str, events: int, seconds: float) -> None:
    echo_err(f"{partition}: {events} events deleted in {seconds:.1f} s.")
