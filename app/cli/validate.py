"""`rollcall validate`: what `/track` would say of each event, with nothing stored."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer

from app.api.answers import answer_events
from app.api.doors import Door
from app.cli.configuration import read_settings
from app.cli.csv_plan import parse_plan
from app.cli.database import say
from app.cli.input_options import File, Form, Map, MapType, Set
from app.cli.lines import Unreadable
from app.cli.listing import say_remark
from app.cli.opening import open_input
from app.cli.reading import read_events
from app.cli.verdicts import judge_piece
from app.events.record import Receipt
from app.events.rejection import Rejection
from app.events.remark import Remark
from app.store.insert import Entry, Outcome
from app.store.sources import check_source_name
from app.wiring import event_policy

_TRACK = Door("/track")


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
    receipt = Receipt(source, datetime.now(UTC), "validate")
    plan = parse_plan(map_ or (), set_ or (), map_type or ())
    valid = rejected = unreadable = warnings = 0
    with open_input(file) as opened:
        found = read_events(opened, form=form, plan=plan, policy=policy, announce=say)
        for index, each in enumerate(found):
            verdict = judge_piece(each, receipt=receipt, policy=policy)
            if isinstance(verdict, Unreadable):
                unreadable += 1
            else:
                rejected += isinstance(verdict, Rejection)
                valid += not isinstance(verdict, Rejection)
                warnings += len(verdict.warnings)
            # An error may be lines below the beginning of what is no JSON.
            line = verdict.line if isinstance(verdict, Unreadable) else each.line
            lines = _as_json if json else _as_text
            sys.stdout.writelines(lines(line, index, verdict))
    say(
        f"{valid} valid, {rejected} rejected, {unreadable} not read, "
        f"{warnings} warnings"
    )
    if rejected or unreadable:
        raise typer.Exit(1)


def _as_text(line: int, index: int, verdict: Entry | Unreadable) -> Iterator[str]:
    """A line for each thing that is wrong or was assumed."""
    place = f"line {line}, index {index}"
    if isinstance(verdict, Unreadable):
        yield f"{place}: error unreadable: {verdict.reason}\n"
        return
    if isinstance(verdict, Rejection):
        for error in verdict.errors:
            yield f"{place}: error {say_remark(error)}\n"
    for warning in verdict.warnings:
        yield f"{place}: warning {say_remark(warning)}\n"


def _as_json(line: int, index: int, verdict: Entry | Unreadable) -> Iterator[str]:
    """The result that `/track?dry_run=true` gives, with its line."""
    result = {"line": line} | _result(verdict) | {"index": index}
    yield orjson.dumps(result).decode() + "\n"


def _result(verdict: Entry | Unreadable) -> dict[str, Any]:
    if isinstance(verdict, Unreadable):
        error = Remark("unreadable", "", verdict.reason)
        return {"status": "unreadable", "warnings": [], "errors": [error.as_json()]}
    outcome = Outcome("valid")
    if isinstance(verdict, Rejection):
        outcome = Outcome("rejected", errors=verdict.errors)
    answer = answer_events(
        [verdict], [outcome], door=_TRACK, request_id="", dry_run=True
    )
    result: dict[str, Any] = orjson.loads(answer.body)["results"][0]
    return result
