"""Finding and redacting the traces of one person in JSON values and texts.

A trace is an id or an email address of the person as a whole word: no ASCII letter or
digit stands directly before or after it. So `42` is found in `signed_up:42` and not in
`1426`. A text is searched as it is and with its escapes decoded. Email addresses are
compared without regard to case.
"""

import re
import string
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any

from app.events.envelope import FIELD_NAMES
from app.pipeline.persons.escapes import ESCAPED_WORD, PART_OF_ESCAPE, readings
from app.pipeline.persons.sieve import make_sieve

REDACTED = "[erased]"

EMAIL_NAMES = ("email", "user_email")
_BEFORE = "(?<![0-9A-Za-z])"
_AFTER = "(?![0-9A-Za-z])"
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
# Floats from 1e16 on are written with an exponent, in rejected payloads too.
_MAY_HAVE_EXPONENT = re.compile("-?[0-9]{17,}")
# A shorter beginning of a name is no trace.
_MIN_CUT = 4


class Person:
    """The ids and email addresses of one person.

    Args:
        user_id: as stored in `events.user_id`.
        emails: addresses of the person.

    Attributes:
        user_id: the user id.
        pattern: a regular expression of Postgres that matches each text with a trace
            once its ASCII letters are lower case, and other texts too. A cut text may
            not match.
    """

    def __init__(self, user_id: str, emails: Iterable[str] = ()) -> None:
        self.user_id = user_id
        self._normal_id = unicodedata.normalize("NFC", user_id)
        self._emails = {
            unicodedata.normalize("NFC", email).casefold() for email in emails
        }
        names = [
            form
            for name in (user_id, *emails)
            for form in dict.fromkeys((unicodedata.normalize("NFC", name), name))
        ]
        patterns = {*map(_words, names), ESCAPED_WORD}
        has_exponent = _MAY_HAVE_EXPONENT.fullmatch(user_id) is not None
        if has_exponent:
            patterns.add(r"e\+")
        self._sieve = make_sieve(names, has_exponent=has_exponent)
        self.pattern = "|".join(sorted(patterns))
        self._names = [
            [_expression(character, ignores_case="@" in name) for character in name]
            for name in names
        ]
        longest_first = sorted(map("".join, self._names), key=len, reverse=True)
        self._traces = re.compile(f"{_BEFORE}(?:{'|'.join(longest_first)}){_AFTER}")

    def may_be_in(self, content: bytes) -> bool:
        """Whether JSON or text, as ASCII, may hold a trace: a quick first look."""
        return self._sieve(content)

    def is_user(self, value: object) -> bool:
        """Whether a user id, text or number, is the person's."""
        if isinstance(value, str):
            normal = unicodedata.normalize("NFC", value)
            return normal == self._normal_id or normal.casefold() in self._emails
        return _is_number(value) and self._is_same_number(value)

    def owns(self, event: object) -> bool:
        """Whether an event as sent is about the person: by user id, else by email."""
        if not isinstance(event, dict):
            return False
        names = FIELD_NAMES["user_id"]
        ids = [event[name] for name in names if event.get(name) is not None]
        properties = event.get("properties")
        if not ids and isinstance(properties, dict):
            emails = [properties.get(name) for name in EMAIL_NAMES]
            return any(
                isinstance(email, str) and self.is_user(email) for email in emails
            )
        return any(self.is_user(id_) for id_ in ids)

    def is_in(self, value: Any) -> bool:
        """Whether a JSON value, a key of it, or a text holds a trace."""
        match value:
            case str():
                return any(
                    self._traces.search(reading.text) for reading in readings(value)
                )
            case dict():
                return any(
                    self.is_in(key) or self.is_in(item) for key, item in value.items()
                )
            case list():
                return any(self.is_in(item) for item in value)
            case _:
                return _is_number(value) and self._is_same_number(value)

    def redact(self, value: Any) -> Any:
        """The value with each trace replaced by `[erased]`."""
        match value:
            case str():
                return self._redact_text(value)
            case dict():
                return {
                    self.redact(key): self.redact(item) for key, item in value.items()
                }
            case list():
                return [self.redact(item) for item in value]
            case _:
                return REDACTED if self.is_in(value) else value

    def redact_cut(self, text: str) -> str:
        """Redact a text that was cut: its end may be the beginning of a trace."""
        redacted = self._redact_text(text)
        starts = [
            reading.source([start])[0]
            for reading in readings(redacted)
            for name in self._names
            if (start := _start_of_cut(reading.text, name)) is not None
        ]
        return redacted[: min(starts)] + REDACTED if starts else redacted

    def redact_timestamp(self, text: str) -> str:
        """Redact a timestamp as sent; digits of the time itself are no user id."""
        start = 0
        if self.user_id.isdecimal():
            start = min((text.find(c) for c in "[(" if c in text), default=len(text))
        return text[:start] + str(self.redact(text[start:]))

    def _is_same_number(self, value: Any) -> bool:
        whole = int(value)
        return whole == value and str(whole) == self.user_id

    def _redact_text(self, text: str) -> str:
        spans: list[tuple[int, int]] = []
        for reading in readings(text):
            found = [trace.span() for trace in self._traces.finditer(reading.text)]
            if found:
                places = iter(reading.source([at for span in found for at in span]))
                spans += zip(places, places, strict=True)
        pieces = []
        end = 0
        for start, end_of_trace in sorted(spans):
            if start >= end:
                pieces += [text[end:start], REDACTED]
            end = max(end, end_of_trace)
        return "".join([*pieces, text[end:]])


def _start_of_cut(text: str, name: Sequence[str]) -> int | None:
    """Where a text ends with the beginning of a name, at least four characters."""
    if len(name) <= _MIN_CUT:
        return None
    beginning = re.compile(_BEFORE + "".join(name[:_MIN_CUT]))
    for found in beginning.finditer(text):
        end = found.end()
        for character in name[_MIN_CUT:]:
            if not (longer := re.compile(character).match(text, end)):
                break
            end = longer.end()
        if PART_OF_ESCAPE.match(text, end):
            return found.start()
    return None


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    return isinstance(value, int) or isfinite(value)


def _words(name: str) -> str:
    """A regular expression of the words that all forms of a name share."""
    return ".*".join(re.findall("[0-9a-z]+", name.translate(_LOWER)))


def _expression(character: str, *, ignores_case: bool) -> str:
    """Match a character: itself or decomposed, and in each case if that is ignored."""
    if character == " ":
        return "[ +]"
    cases = (character, character.lower(), character.upper())
    forms = dict.fromkeys(
        form
        for case in cases[: None if ignores_case else 1]
        for form in (case, unicodedata.normalize("NFD", case))
    )
    return f"(?:{'|'.join(map(re.escape, forms))})"
