"""Near misses: the field that a sender probably meant by another name."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from app.events.envelope import FIELD_NAMES
from app.pipeline.fields.sanitize import join_path, shown_key

# Other words that senders use for a field, in lower case and without separators.
_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "event": ("eventtype", "action"),
    "user_id": ("user", "userid", "uid", "distinctid", "customerid", "memberid"),
    "group_id": (
        "group", "account", "accountid", "org", "orgid", "organizationid",
        "organisationid", "companyid", "teamid", "tenantid", "workspaceid",
    ),
    "timestamp": (
        "time", "ts", "date", "datetime", "eventtime", "occurredat", "createdat",
        "eventtimestamp", "happenedat",
    ),
    "message_id": ("id", "eventid", "insertid", "uuid", "idempotencykey", "msgid"),
    "properties": ("props", "data", "attributes", "payload", "traits", "params"),
    "context": ("ctx",),
}  # fmt: skip
_PLACES = frozenset({"properties", "context", "traits"})
_TOP_ONLY = frozenset({"event", "properties", "context"})
_SEPARATORS = re.compile("[^a-z0-9]")
_LONGEST_KEY = 32
_SEARCHED_KEYS = 100
# Shorter names are within one edit of others by chance.
_SHORTEST_NAME = 4


def _plain(name: str) -> str:
    """The name in lower case, without separators."""
    return _SEPARATORS.sub("", name[:_LONGEST_KEY].lower())


def _one_edit(name: str) -> set[str]:
    """The name, and the name without each of its characters.

    Two names share one of these if one character was inserted, left out or replaced,
    or two neighbours were swapped.
    """
    return {name, *(name[:at] + name[at + 1 :] for at in range(len(name)))}


class _Meant:
    """The names that may have been meant by one of another spelling.

    Args:
        names: the accepted names, for each field.
    """

    def __init__(self, names: Mapping[str, Iterable[str]]) -> None:
        self._exact: dict[str, str] = {}
        self._edited: dict[str, str] = {}
        for meant, accepted in names.items():
            for name in accepted:
                self._exact.setdefault(_plain(name), meant)
                for edited in _one_edit(_plain(name)):
                    if len(edited) >= _SHORTEST_NAME:
                        self._edited.setdefault(edited, meant)
            for name in _SYNONYMS.get(meant, ()):
                self._exact.setdefault(name, meant)

    def by(self, name: str) -> str | None:
        """The field that was meant, or None."""
        plain = _plain(name)
        found = self._exact.get(plain)
        if found is not None or len(plain) < _SHORTEST_NAME:
            return found
        return next(filter(None, map(self._edited.get, _one_edit(plain))), None)


# The envelope's field that was probably meant by an unknown name, as `shown_key` cuts
# it. Senders repeat their names, and a search takes 4 microseconds.
meant_by = lru_cache(maxsize=1_000)(_Meant(FIELD_NAMES).by)


def find_near_miss(
    sent: dict[str, Any], missing: str, accepted: Iterable[str] = ()
) -> str | None:
    """The path of the field that was probably meant to be a missing one.

    Args:
        sent: the decoded event.
        missing: the canonical name of the field, or the name of a property.
        accepted: the names under which a property is read.
    """
    meant = _Meant({missing: FIELD_NAMES.get(missing, (missing, *accepted))})
    for path, name, value in _keys(sent, is_deep=missing not in _TOP_ONLY):
        if value is not None and meant.by(name) == missing:
            return path
    return None


def _keys(sent: dict[str, Any], *, is_deep: bool) -> Iterator[tuple[str, str, Any]]:
    """Path, name and value of the keys at the top, and of those one level below."""
    for name, value in list(sent.items())[:_SEARCHED_KEYS]:
        yield shown_key(name), name, value
    for place, inner in sent.items() if is_deep else ():
        if isinstance(inner, dict) and _plain(place) in _PLACES:
            for name, value in list(inner.items())[:_SEARCHED_KEYS]:
                yield join_path(shown_key(place), name), name, value
