"""`rollcall import`: backfills, by the rules and in the tables of live events."""

import asyncio
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, NamedTuple

import typer
from rich.console import Console

from app.cli.configuration import read_settings
from app.cli.database import current, say
from app.cli.input.csv_mapping import parse_mapping
from app.cli.input.file import InputFile, open_input
from app.cli.input.formats import read_events
from app.cli.input.items import InputItem, UnreadableItem
from app.cli.input.options import File, Form, Map, MapType, Set
from app.cli.input.progress import RowProgress
from app.cli.input.tally import Tally
from app.cli.input.verdicts import process_item
from app.components.service import event_policy, quarantining
from app.pipeline.record import Policy, RequestContext
from app.store.keys.sources import check_source_name
from app.store.write.backfill import backfill
from app.store.write.insert import Entry, Outcome

# Each turn costs some waiting for the other process, so a turn is worth several times
# the batch of a request; the bytes bound the memory where events are large.
_BATCH_EVENTS = 4_000
_BATCH_BYTES = 1024 * 1024
_MAX_NAMED = 100


class _Batch(NamedTuple):
    """What is committed at once.

    Attributes:
        pieces: of the file.
        position: bytes of the file that had been read by then.
    """

    pieces: list[InputItem]
    position: int


class _Extent(NamedTuple):
    """What a batch took up in its file, beside events.

    Attributes:
        unreadable: what stood between them.
        position: as of the batch.
    """

    unreadable: list[UnreadableItem]
    position: int


def import_events(  # noqa: PLR0913 - each is an option of the command
    file: File,
    *,
    source: Annotated[
        str, typer.Option(help="Whose events they are, such as billing-backend.")
    ],
    form: Form = None,
    map_: Map = None,
    set_: Set = None,
    map_type: MapType = None,
) -> None:
    """Store the events of a file; safe to repeat, and after whatever ended it.

    The exit status is 1 if something in the file is kept nowhere: a line that is no
    event, or one that the quarantine had no room for.
    """
    settings = read_settings()
    policy = event_policy(settings)
    request_context = RequestContext(source, datetime.now(UTC), secrets.token_hex(16))
    check_source_name(source)
    plan = parse_mapping(map_ or (), set_ or (), map_type or ())
    tally = Tally()
    with current(settings) as database, open_input(file) as opened:
        progress = RowProgress(
            opened.name, total=opened.total, console=Console(stderr=True)
        )
        found = read_events(
            opened, form=form, plan=plan, policy=policy, announce=progress.say
        )

        def report(outcomes: Sequence[Outcome], extent: _Extent) -> None:
            tally.add(outcomes)
            for line, reason in extent.unreadable:
                tally.unreadable += 1
                if tally.unreadable <= _MAX_NAMED:
                    progress.say(f"line {line}: not read: {reason}")
            progress.update(rows=tally.rows, position=extent.position)

        work = backfill(
            database.url,
            source=source,
            batches=_batches(found, opened),
            process_event=partial(
                _judge, request_context=request_context, policy=policy
            ),
            quarantining=quarantining(settings),
            report=report,
        )
        try:
            with progress:
                asyncio.run(work)
        finally:
            # Also where it ends early: what is counted is committed.
            _summarise(tally, progress.elapsed_s, request_context)
    if not tally.is_whole:
        raise typer.Exit(1)


def _batches(found: Iterable[InputItem], file: InputFile) -> Iterator[_Batch]:
    pieces: list[InputItem] = []
    size = 0
    for piece in found:
        pieces.append(piece)
        size += piece.size
        if len(pieces) >= _BATCH_EVENTS or size >= _BATCH_BYTES:
            yield _Batch(pieces, file.position)
            pieces, size = [], 0
    yield _Batch(pieces, file.position)


def _judge(
    batch: _Batch, *, request_context: RequestContext, policy: Policy
) -> tuple[list[Entry], _Extent]:
    entries: list[Entry] = []
    unreadable: list[UnreadableItem] = []
    for piece in batch.pieces:
        verdict = process_item(piece, request_context=request_context, policy=policy)
        if isinstance(verdict, UnreadableItem):
            unreadable.append(verdict)
        else:
            entries.append(verdict)
    return entries, _Extent(unreadable, batch.position)


def _summarise(tally: Tally, elapsed_s: float, request_context: RequestContext) -> None:
    rate = tally.rows / max(elapsed_s, 0.001)
    say(f"{tally.rows:11,} rows in {elapsed_s:.1f} s, {rate:,.0f} a second")
    for line in tally.lines():
        say(line)
    if tally.unreadable > _MAX_NAMED:
        say("`rollcall validate` names every line that cannot be read.")
    if tally.rejected or tally.differing:
        say(f"See rejected_events WHERE request_id = '{request_context.request_id}'.")
