"""Errors and warnings as the jsonb columns hold them."""

from collections.abc import Iterable

import orjson

from app.pipeline.issues import UNSTORED_WARNINGS, Issue


def issues_json(issues: Iterable[Issue]) -> str:
    """The JSON text of a list of remarks."""
    return orjson.dumps([issue.as_json() for issue in issues]).decode()


def stored_warnings(warnings: tuple[Issue, ...]) -> str:
    """The JSON text of those warnings that are stored beside an event."""
    if not warnings:
        return "[]"
    return issues_json(w for w in warnings if w.code not in UNSTORED_WARNINGS)
