"""Process the items of a file by the rules of `/track`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from app.cli.input.exported import restore_identity, restore_sent_form
from app.cli.input.items import (
    BlankItem,
    DecodedItem,
    InputItem,
    RawItem,
    UnreadableItem,
    decode_item,
)
from app.ingest.routes import OTHER_CALLS
from app.pipeline.outcome import Entry
from app.pipeline.process import process_event
from app.pipeline.record import Policy, Record, RequestContext
from app.pipeline.rejection import Rejection, reject


class IgnoredItem(NamedTuple):
    """A call of an SDK other than track, such as `identify`."""

    line: int


ItemResult = Entry | UnreadableItem | IgnoredItem | BlankItem


def process_item(
    item: InputItem, *, context: RequestContext, policy: Policy
) -> Iterator[tuple[int, ItemResult]]:
    """Each result of an item, with its line.

    Exported events are processed in the form in which they were sent.
    """
    items = decode_item(item, policy=policy) if isinstance(item, RawItem) else [item]
    for each in items:
        if isinstance(each, DecodedItem):
            yield each.line, _process(each, context, policy)
        elif not isinstance(each, RawItem):
            yield each.line, each


def _process(item: DecodedItem, context: RequestContext, policy: Policy) -> ItemResult:
    # As an SDK's route ignores it: one verdict on both roads.
    if isinstance(item.value, dict) and item.value.get("type") in OTHER_CALLS:
        return IgnoredItem(item.line)
    value = restore_sent_form(
        item.value, received_at=context.received_at, policy=policy.timestamps
    )
    entry = process_event(
        value, request_context=context, policy=policy, body=item.traits
    )
    if value is not item.value and isinstance(entry, Record):
        entry = restore_identity(entry, item.value)
    if item.errors:
        others = entry.errors if isinstance(entry, Rejection) else ()
        paths = {error.path for error in item.errors}
        errors = [*item.errors, *(each for each in others if each.path not in paths)]
        warnings = (*entry.warnings, *item.warnings)
        return reject(value, request_context=context, errors=errors, warnings=warnings)
    if not item.warnings:
        return entry
    warnings = (*entry.warnings, *item.warnings)
    if isinstance(entry, Record):
        return entry._replace(warnings=warnings)
    return replace(entry, warnings=warnings)
