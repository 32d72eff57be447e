"""`rollcall import`: store the events of files, by the rules of live events."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple
from uuid import UUID, uuid4

import typer
from rich.console import Console

from app.cli.configuration import read_settings
from app.cli.database import echo_err, open_checked
from app.cli.input.csv_mapping import CsvMapping, CsvOptions
from app.cli.input.csv_reader import allow_long_fields
from app.cli.input.file import InputFile, open_input
from app.cli.input.formats import Format, read_items
from app.cli.input.items import InputItem, UnreadableItem
from app.cli.input.options import (
    DateFormat,
    Delimiter,
    Files,
    Form,
    Map,
    MapType,
    MaxRowLines,
    Null,
    Set,
    Timezone,
)
from app.cli.input.process import process_item
from app.cli.input.progress import RowProgress
from app.cli.input.tally import ContentTally, OutcomeTally, summary
from app.components.policy import event_policy, quarantining
from app.pipeline.record import Policy, Record, RequestContext
from app.pipeline.rejection import Rejection
from app.store.keys.sources import check_source_name
from app.store.write.backfill import backfill
from app.store.write.insert import Entry, Outcome

# A batch is sent to another process and back, so it is several times as large as one
# of requests; the limit in bytes bounds the memory where events are large.
_BATCH_EVENTS = 4_000
_BATCH_BYTES = 1024 * 1024
_MAX_NAMED = 100


class _Batch(NamedTuple):
    """Items of one file that are committed together.

    Attributes:
        file: its name.
        items: read from it.
        position: bytes of all files that had been read by then.
    """

    file: str
    items: list[InputItem]
    position: int


class _BatchReport(NamedTuple):
    """What a batch held.

    Attributes:
        file: as of the batch.
        content: what was counted in it.
        unreadable: what could not be read.
        position: as of the batch.
    """

    file: str
    content: ContentTally
    unreadable: list[UnreadableItem]
    position: int


def import_events(  # noqa: PLR0913 - each is an option of the command
    files: Files,
    *,
    source: Annotated[
        str, typer.Option(help="Source of the events, such as billing-backend.")
    ],
    form: Form = None,
    map_: Map = None,
    set_: Set = None,
    map_type: MapType = None,
    null: Null = None,
    date_format: DateFormat = None,
    timezone: Timezone = None,
    delimiter: Delimiter = None,
    max_row_lines: MaxRowLines = None,
) -> None:
    """Store the events of files. Safe to repeat, also after an interruption.

    The exit status is 1 if something in the files is kept nowhere: a line that is no
    event, or an event for which the quarantine had no room.
    """
    settings = read_settings()
    policy = event_policy(settings)
    import_id = uuid4()
    context = RequestContext(source, datetime.now(UTC), str(import_id))
    check_source_name(source)
    mapping = CsvOptions(
        maps=map_ or (),
        constants=set_ or (),
        types=map_type or (),
        nulls=null or (),
        date_formats=date_format or (),
        timezone=timezone,
        delimiter=delimiter,
        max_row_lines=max_row_lines,
    ).read()
    allow_long_fields(policy)
    outcomes, content = OutcomeTally(), ContentTally()
    with open_checked(settings, create=True) as database, ExitStack() as stack:
        opened = [stack.enter_context(open_input(path)) for path in files]
        progress = RowProgress(
            _name_of(opened), total=_total(opened), console=Console(stderr=True)
        )

        def report(committed: Sequence[Outcome], batch: _BatchReport) -> None:
            outcomes.add(committed)
            for number, (line, reason, _) in enumerate(batch.unreadable):
                if content.unreadable + number < _MAX_NAMED:
                    progress.say(_locate(batch.file, line, files) + reason)
            content.merge(batch.content)
            progress.update(rows=content.rows, position=batch.position)

        work = backfill(
            database.url,
            source=source,
            import_id=import_id,
            batches=_batches(opened, form, mapping, policy, progress.say),
            process=partial(_process, context=context, policy=policy),
            quarantine=quarantining(settings)(),
            report=report,
        )
        try:
            with progress:
                asyncio.run(work)
        finally:
            # Also after an error: what was counted is committed.
            _print_summary(outcomes, content, progress.elapsed_s, import_id)
    if content.unreadable or outcomes.dropped:
        raise typer.Exit(1)


def _name_of(files: Sequence[InputFile]) -> str:
    return files[0].name if len(files) == 1 else f"{len(files)} files"


def _total(files: Sequence[InputFile]) -> int | None:
    sizes = [file.total for file in files if file.total is not None]
    return sum(sizes) if len(sizes) == len(files) else None


def _batches(
    files: Sequence[InputFile],
    form: Format | None,
    mapping: CsvMapping,
    policy: Policy,
    announce: Callable[[str], None],
) -> Iterator[_Batch]:
    before = 0
    for file in files:
        items = read_items(
            file, form=form, mapping=mapping, policy=policy, announce=announce
        )
        for batch in _cut(items):
            yield _Batch(file.name, batch, before + file.position)
        before += file.position


def _cut(items: Iterable[InputItem]) -> Iterator[list[InputItem]]:
    batch: list[InputItem] = []
    size = 0
    for item in items:
        batch.append(item)
        size += item.size
        if len(batch) >= _BATCH_EVENTS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    yield batch


def _process(
    batch: _Batch, *, context: RequestContext, policy: Policy
) -> tuple[list[Entry], _BatchReport]:
    entries: list[Entry] = []
    unreadable: list[UnreadableItem] = []
    content = ContentTally()
    for item in batch.items:
        for _, result in process_item(item, context=context, policy=policy):
            content.add(result)
            if isinstance(result, UnreadableItem):
                unreadable.append(result)
            elif isinstance(result, Record | Rejection):
                entries.append(result)
    return entries, _BatchReport(batch.file, content, unreadable, batch.position)


def _locate(name: str, line: int, files: Sequence[Path]) -> str:
    place = f"line {line}: not read: "
    return place if len(files) == 1 else f"{name} {place}"


def _print_summary(
    outcomes: OutcomeTally, content: ContentTally, elapsed_s: float, import_id: UUID
) -> None:
    rate = content.rows / max(elapsed_s, 0.001)
    echo_err(f"{content.rows:11,} rows in {elapsed_s:.1f} s, {rate:,.0f} a second")
    for line in summary(outcomes, content):
        echo_err(line)
    if content.unreadable > _MAX_NAMED:
        echo_err("`rollcall validate` names every line that cannot be read.")
    if outcomes.rejected or outcomes.conflicts:
        echo_err(f"See rejected_events WHERE request_id = '{import_id}'.")
    echo_err(f"Import {import_id}; `rollcall import --undo {import_id}` removes it.")
