"""Scopes of keys: the rights of a key, and the keys that it may create."""

from enum import StrEnum
from typing import NamedTuple

_ONE_SOURCE = "read:"


class Scope(StrEnum):
    """Scopes without a parameter; `read:SOURCE` is the one with it."""

    WRITE = "write"
    METRICS = "metrics"
    READ = "read"
    OPERATE = "operate"
    ERASE = "erase"


class Reader(NamedTuple):
    """Holder of a key other than a write key; the name is the key's source."""

    name: str
    key_id: str
    scope: str


_READING = {Scope.READ, Scope.OPERATE, Scope.ERASE}
_OPERATING = {Scope.OPERATE, Scope.ERASE}


def may_scrape(scope: str) -> bool:
    """Whether a key of this scope may read `/metrics`."""
    return scope == Scope.METRICS or may_read(scope)


def may_read(scope: str) -> bool:
    """Whether a key of this scope may read the events of every source."""
    return scope in _READING


def only_source(scope: str) -> str | None:
    """Return the source to which `read:SOURCE` is limited; None for other scopes."""
    is_limited = scope.startswith(_ONE_SOURCE)
    return scope.removeprefix(_ONE_SOURCE) if is_limited else None


def may_operate(scope: str) -> bool:
    """Whether a key of this scope may correct, replay and purge, and manage keys."""
    return scope in _OPERATING


def may_erase(scope: str) -> bool:
    """Whether a key of this scope may erase a person."""
    return scope == Scope.ERASE
