"""Errors and warnings as JSON text for the jsonb columns."""

from collections.abc import Iterable

import orjson

from app.pipeline.issues import UNSTORED_WARNINGS, Issue


def issues_json(issues: Iterable[Issue]) -> str:
    """The JSON text of a list of issues."""
    return orjson.dumps([issue.as_json() for issue in issues]).decode()


def stored_warnings(warnings: tuple[Issue, ...]) -> str:
    """The JSON text of the warnings that are stored with an event."""
    if not warnings:
        return "[]"
    return issues_json(w for w in warnings if w.code not in UNSTORED_WARNINGS)
