"""`rollcall import`: store the events of files, by the rules of live events."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Annotated, NamedTuple
from uuid import UUID, uuid4

import typer
from rich.console import Console

from app.cli.configuration import read_settings
from app.cli.database import echo_err, open_checked, record_command
from app.cli.files.undo_import import undo_import
from app.cli.input.file import InputFile, open_input
from app.cli.input.formats import read_items
from app.cli.input.items import InputItem, UnreadableItem
from app.cli.input.options import (
    FormOption,
    OptionalFiles,
)
from app.cli.input.process import process_item
from app.cli.input.progress import RowProgress
from app.cli.input.table.mapping import CsvMapping
from app.cli.input.table.options import with_csv_options
from app.cli.input.table.reader import allow_long_fields
from app.cli.input.tally import ContentTally, OutcomeTally
from app.components.policy import event_policy, make_quarantine
from app.pipeline.outcome import Entry, Outcome
from app.pipeline.record import Policy, Record, RequestContext
from app.pipeline.rejection import Rejection
from app.store.keys.sources import check_source_name
from app.store.lifecycle.audit import command_actor
from app.store.write.backfill import Import, backfill
from app.store.write.undo import analyze

# A batch is sent to another process and back, so it is several times as large as one
# of requests; the limit in bytes bounds the memory where events are large.
_BATCH_EVENTS = 4_000
_BATCH_BYTES = 1024 * 1024
_MAX_NAMED = 100
# From here on the statistics of the planner are worth an update.
_MANY_EVENTS = 1_000


class _Batch(NamedTuple):
    """Items of one file that are committed together.

    `position` counts the bytes of all files that had been read by then.
    """

    file: str
    items: list[InputItem]
    position: int


class _BatchReport(NamedTuple):
    """Content of a batch."""

    file: str
    content: ContentTally
    unreadable: list[UnreadableItem]
    position: int


@with_csv_options
def import_events(
    files: OptionalFiles = None,
    *,
    source: Annotated[
        str | None, typer.Option(help="Source of the events, such as billing-backend.")
    ] = None,
    form: FormOption = None,
    mapping: CsvMapping,
    undo: Annotated[
        UUID | None,
        typer.Option(
            metavar="ID",
            help="Delete what the import with this id has stored, as it has printed "
            "it.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Undo without asking.")] = False,
) -> None:
    """Store the events of files. Safe to repeat, also after an interruption.

    The exit status is 1 if a part of the files is kept nowhere: a line that cannot be
    read, or an event for which the quarantine had no room.
    """
    if undo is not None:
        undo_import(undo, ask=not yes)
        return
    if not files or source is None:
        raise typer.BadParameter("Name the files, and their --source.")
    settings = read_settings()
    check_source_name(source)
    policy = event_policy(settings)
    allow_long_fields(policy)
    with open_checked(settings, create=True) as database, ExitStack() as stack:
        opened = [stack.enter_context(open_input(path)) for path in files]
        run = _Import(source, opened)
        items = partial(
            read_items,
            form=form,
            mapping=mapping,
            policy=policy,
            announce=run.progress.say,
        )
        work = backfill(
            database.url,
            Import(run.id, source, command_actor(), make_quarantine(settings)),
            batches=_batches(opened, items),
            process=partial(_process, context=run.context, policy=policy),
            report=run.report,
        )
        try:
            with run.progress:
                asyncio.run(work)
        finally:
            # Also after an error, because all counted events are committed.
            run.print_summary()
            record_command(
                database,
                "import",
                subject=str(run.id),
                source=source,
                stored=run.outcomes.stored,
            )
        if run.outcomes.stored >= _MANY_EVENTS:
            database.transact(analyze)
    if run.content.unreadable or run.outcomes.dropped:
        raise typer.Exit(1)


class _Import:
    """One run of the command: its id and its counts."""

    def __init__(self, source: str, files: Sequence[InputFile]) -> None:
        self.id = uuid4()
        self.context = RequestContext(source, datetime.now(UTC), str(self.id))
        self.outcomes, self.content = OutcomeTally(), ContentTally()
        self._names_files = len(files) > 1
        sizes = [file.total for file in files if file.total is not None]
        self.progress = RowProgress(
            f"{len(files)} files" if self._names_files else files[0].name,
            total=sum(sizes) if len(sizes) == len(files) else None,
            console=Console(stderr=True),
        )

    def report(self, committed: Sequence[Outcome], batch: _BatchReport) -> None:
        """Count a committed batch, and print its unreadable lines."""
        self.outcomes.add(committed)
        name = f"{batch.file} " if self._names_files else ""
        for number, (line, reason, _) in enumerate(batch.unreadable):
            if self.content.unreadable + number < _MAX_NAMED:
                self.progress.say(f"{name}line {line}: not read: {reason}")
        self.content.merge(batch.content)
        self.progress.update(rows=self.content.rows, position=batch.position)

    def print_summary(self) -> None:
        """Print the counts, and how to undo the import."""
        rows, elapsed_s = self.content.rows, self.progress.elapsed_s
        rate = rows / max(elapsed_s, 0.001)
        echo_err(f"{rows:11,} rows in {elapsed_s:.1f} s, {rate:,.0f} a second")
        content = self.content
        lines = (self.outcomes.lines(), content.other_lines(), content.code_lines())
        for line in chain(*lines):
            echo_err(line)
        if self.content.unreadable > _MAX_NAMED:
            echo_err("`rollcall validate` names every line that cannot be read.")
        if self.outcomes.rejected or self.outcomes.conflicts:
            echo_err(f"See rejected_events WHERE request_id = '{self.id}'.")
        if self.outcomes.stored or self.outcomes.rejected:
            echo_err(f"To undo this import: rollcall import --undo {self.id}")


def _batches(
    files: Sequence[InputFile], items: Callable[[InputFile], Iterator[InputItem]]
) -> Iterator[_Batch]:
    before = 0
    for file in files:
        for batch in _cut(items(file)):
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
