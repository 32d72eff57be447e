"""`rollcall validate`: the verdict of `/track` on each event; nothing is stored."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from app.cli.configuration import read_settings
from app.cli.database import echo_err
from app.cli.input.file import open_input
from app.cli.input.formats import Format, read_items
from app.cli.input.items import BlankItem, UnreadableItem
from app.cli.input.options import (
    Files,
    FormOption,
)
from app.cli.input.process import IgnoredItem, ItemResult, process_item
from app.cli.input.table.mapping import CsvMapping
from app.cli.input.table.options import with_csv_options
from app.cli.input.table.reader import allow_long_fields
from app.cli.input.tally import ContentTally
from app.cli.quarantine.output import print_issue
from app.components.policy import event_policy
from app.ingest.request import QueryOptions
from app.ingest.responses import build_response
from app.ingest.routes import TrackRoute
from app.pipeline.issues import Issue
from app.pipeline.outcome import Entry, EventStatus, Outcome
from app.pipeline.record import Policy, Record, RequestContext
from app.pipeline.rejection import Rejection
from app.store.keys.sources import check_source_name

_TRACK = TrackRoute("/track")
_DRY_RUN = QueryOptions(dry_run=True)


@with_csv_options
def validate(
    files: Files,
    *,
    form: FormOption = None,
    mapping: CsvMapping,
    source: Annotated[
        str,
        typer.Option(help="Source for the ids in --json; no verdict depends on it."),
    ] = "validate",
    json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object for each event.")
    ] = False,
    summary: Annotated[
        bool,
        typer.Option("--summary", help="Print only the counts of errors and warnings."),
    ] = False,
) -> None:
    """Check the events of files as /track would. Needs no database, stores nothing.

    The exit status is 1 if an event is rejected or a line cannot be read.
    """
    policy = event_policy(read_settings())
    check_source_name(source)
    context = RequestContext(source, datetime.now(UTC), "validate")
    allow_long_fields(policy)
    content = ContentTally()
    for path in files:
        prefix = "" if len(files) == 1 else f"{path.name} "
        results = _results(path, form, mapping, policy, context)
        for index, (line, result) in enumerate(results):
            content.add(result)
            if json:
                name = path.name if len(files) > 1 else None
                sys.stdout.writelines(_as_json(name, line, index, result))
            elif not summary:
                sys.stdout.writelines(
                    _as_text(f"{prefix}line {line}, index {index}", result)
                )
    _print_counts(content, to_stdout=summary and not json)
    if content.rejected or content.unreadable:
        raise typer.Exit(1)


def _results(
    path: Path,
    form: Format | None,
    mapping: CsvMapping,
    policy: Policy,
    context: RequestContext,
) -> Iterator[tuple[int, ItemResult]]:
    with open_input(path) as file:
        items = read_items(
            file, form=form, mapping=mapping, policy=policy, announce=echo_err
        )
        for item in items:
            yield from process_item(item, context=context, policy=policy)


def _print_counts(content: ContentTally, *, to_stdout: bool) -> None:
    counts = (
        f"{content.valid} valid, {content.rejected} rejected, "
        f"{content.unreadable} not read, {content.warnings.total()} warnings"
    )
    others = ((content.ignored, "ignored"), (content.blank, "blank"))
    echo_err(counts + "".join(f", {count} {what}" for count, what in others if count))
    for line in content.code_lines():
        typer.echo(line, err=not to_stdout)


def _as_text(place: str, result: ItemResult) -> Iterator[str]:
    """A line for each error and warning."""
    if isinstance(result, UnreadableItem):
        yield f"{place}: error unreadable: {result.reason}\n"
    elif isinstance(result, Record | Rejection):
        errors = result.errors if isinstance(result, Rejection) else ()
        for error in errors:
            yield f"{place}: error {print_issue(error)}\n"
        for warning in result.warnings:
            yield f"{place}: warning {print_issue(warning)}\n"


def _as_json(
    name: str | None, line: int, index: int, result: ItemResult
) -> Iterator[str]:
    """The result of `/track?dry_run=true`, with file, line and index."""
    if isinstance(result, BlankItem):
        return
    place: dict[str, Any] = {"file": name} if name else {}
    place |= {"line": line}
    yield orjson.dumps(place | _result(result) | {"index": index}).decode() + "\n"


def _result(result: Entry | UnreadableItem | IgnoredItem) -> dict[str, Any]:
    if isinstance(result, UnreadableItem):
        error = Issue("unreadable", "", result.reason)
        return {"status": "unreadable", "warnings": [], "errors": [error.as_json()]}
    if isinstance(result, IgnoredItem):
        return {"status": "ignored", "warnings": [], "errors": []}
    outcome = Outcome(EventStatus.VALID)
    if isinstance(result, Rejection):
        outcome = Outcome(EventStatus.REJECTED, errors=result.errors)
    answer = build_response(
        [result], [outcome], route=_TRACK, request_id="", options=_DRY_RUN
    )
    answered: dict[str, Any] = orjson.loads(answer.body)["results"][0]
    return answered
