"""Errors and warnings as the jsonb columns hold them."""

from collections.abc import Iterable

import orjson

from app.events.remark import UNSTORED_WARNINGS, Remark


def remarks_json(remarks: Iterable[Remark]) -> str:
    """The JSON text of a list of remarks."""
    return orjson.dumps([remark.as_json() for remark in remarks]).decode()


def stored_warnings(warnings: tuple[Remark, ...]) -> str:
    """The JSON text of those warnings that are stored beside an event."""
    if not warnings:
        return "[]"
    return remarks_json(w for w in warnings if w.code not in UNSTORED_WARNINGS)
