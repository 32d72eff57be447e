"""`rollcall validate`: what `/track` would say of each event, with nothing stored."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer

from app.cli.configuration import read_settings
from app.cli.database import say
from app.cli.input.csv_mapping import parse_mapping
from app.cli.input.file import open_input
from app.cli.input.formats import read_events
from app.cli.input.items import UnreadableItem
from app.cli.input.options import File, Form, Map, MapType, Set
from app.cli.input.verdicts import process_item
from app.cli.quarantine.output import print_issue
from app.components.service import event_policy
from app.ingest.responses import build_response
from app.ingest.routes import TrackRoute
from app.pipeline.issues import Issue
from app.pipeline.record import RequestContext
from app.pipeline.rejection import Rejection
from app.store.keys.sources import check_source_name
from app.store.write.insert import Entry, Outcome

_TRACK = TrackRoute("/track")


def validate(  # noqa: PLR0913 - each is an option of the command
    file: File,
    *,
    form: Form = None,
    map_: Map = None,
    set_: Set = None,
    map_type: MapType = None,
    source: Annotated[
        str, typer.Option(help="Whose ids --json shows; the verdicts are the same.")
    ] = "validate",
    json: Annotated[
        bool, typer.Option("--json", help="A result for each event, an object a line.")
    ] = False,
) -> None:
    """Judge the events of a file as /track would; store nothing, ask no database.

    The exit status is 1 if an event is rejected or a line cannot be read.
    """
    policy = event_policy(read_settings())
    check_source_name(source)
    request_context = RequestContext(source, datetime.now(UTC), "validate")
    plan = parse_mapping(map_ or (), set_ or (), map_type or ())
    valid = rejected = unreadable = warnings = 0
    with open_input(file) as opened:
        found = read_events(opened, form=form, plan=plan, policy=policy, announce=say)
        for index, each in enumerate(found):
            verdict = process_item(each, request_context=request_context, policy=policy)
            if isinstance(verdict, UnreadableItem):
                unreadable += 1
            else:
                rejected += isinstance(verdict, Rejection)
                valid += not isinstance(verdict, Rejection)
                warnings += len(verdict.warnings)
            # An error may be lines below the beginning of what is no JSON.
            line = verdict.line if isinstance(verdict, UnreadableItem) else each.line
            lines = _as_json if json else _as_text
            sys.stdout.writelines(lines(line, index, verdict))
    say(
        f"{valid} valid, {rejected} rejected, {unreadable} not read, "
        f"{warnings} warnings"
    )
    if rejected or unreadable:
        raise typer.Exit(1)


def _as_text(line: int, index: int, verdict: Entry | UnreadableItem) -> Iterator[str]:
    """A line for each thing that is wrong or was assumed."""
    place = f"line {line}, index {index}"
    if isinstance(verdict, UnreadableItem):
        yield f"{place}: error unreadable: {verdict.reason}\n"
        return
    if isinstance(verdict, Rejection):
        for error in verdict.errors:
            yield f"{place}: error {print_issue(error)}\n"
    for warning in verdict.warnings:
        yield f"{place}: warning {print_issue(warning)}\n"


def _as_json(line: int, index: int, verdict: Entry | UnreadableItem) -> Iterator[str]:
    """The result that `/track?dry_run=true` gives, with its line."""
    result = {"line": line} | _result(verdict) | {"index": index}
    yield orjson.dumps(result).decode() + "\n"


def _result(verdict: Entry | UnreadableItem) -> dict[str, Any]:
    if isinstance(verdict, UnreadableItem):
        error = Issue("unreadable", "", verdict.reason)
        return {"status": "unreadable", "warnings": [], "errors": [error.as_json()]}
    outcome = Outcome("valid")
    if isinstance(verdict, Rejection):
        outcome = Outcome("rejected", errors=verdict.errors)
    answer = build_response(
        [verdict], [outcome], route=_TRACK, request_id="", dry_run=True
    )
    result: dict[str, Any] = orjson.loads(answer.body)["results"][0]
    return result
