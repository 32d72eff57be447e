"""Finding and redacting the traces of one person in JSON values and texts.

A trace is an id or an email address of the person as a whole word: no ASCII letter or
digit stands directly before or after it. So `42` is found in `signed_up:42` and not in
`1426`. Each character may be escaped, as in JSON inside JSON or in a URL. Email
addresses are compared without regard to case.
"""

import re
import string
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any

from app.events.envelope import USER_NAMES

REDACTED = "[erased]"

_EMAIL_NAMES = ("email", "user_email")
# The character after an escape begins a word, although a letter or digit ends that.
_BEFORE = (
    r"(?:(?<![0-9A-Za-z])|(?<=\\u[0-9A-Fa-f]{4})|(?<=\\[bfnrt])"
    r"|(?<=%[0-9A-Fa-f]{2})|(?<=%25[0-9A-Fa-f]{2}))"
)
_AFTER = "(?![0-9A-Za-z])"
# JSON inside JSON doubles them. Without a limit, a long run of backslashes would be
# read again from each of them.
_ESCAPE_LEVELS = 6
_ESCAPE = rf"\\{{1,{2**_ESCAPE_LEVELS - 1}}}"
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_LETTER_ESCAPES = dict(zip("\b\f\n\r\t", "bfnrt", strict=True))
# Floats from 1e16 on are written with an exponent, in rejected payloads too.
_EXPONENT_DIGITS = 17
# A shorter beginning of a name is no trace.
_MIN_CUT = 4
_PART_OF_ESCAPE = re.compile(r"(?:\\+(?:u[0-9A-Fa-f]{0,3})?|%[0-9A-Fa-f]?)?\Z")


class Person:
    """The ids and email addresses of one person.

    Args:
        user_id: as stored in `events.user_id`.
        emails: addresses of the person.

    Attributes:
        user_id: the user id.
        likes: LIKE patterns that match each text with a trace once its ASCII letters
            are lower case, and other texts too. A cut text may match none.
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
        self.likes = sorted({_like(name) for name in names} | {r"%\\u%"})
        if user_id.isdecimal() and len(user_id) >= _EXPONENT_DIGITS:
            self.likes.append("%e+%")
        self._names = [_expressions(name) for name in names]
        longest_first = sorted(map("".join, self._names), key=len, reverse=True)
        self._pattern = re.compile(f"{_BEFORE}(?:{'|'.join(longest_first)}){_AFTER}")

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
        ids = [event[name] for name in USER_NAMES if event.get(name) is not None]
        properties = event.get("properties")
        if not ids and isinstance(properties, dict):
            emails = [properties.get(name) for name in _EMAIL_NAMES]
            return any(
                isinstance(email, str) and self.is_user(email) for email in emails
            )
        return any(self.is_user(id_) for id_ in ids)

    def is_in(self, value: Any) -> bool:
        """Whether a JSON value, a key of it, or a text holds a trace."""
        match value:
            case str():
                return self._pattern.search(value) is not None
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
                return self._pattern.sub(REDACTED, value)
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
        redacted: str = self.redact(text)
        starts = [self._start_of_cut(redacted, name) for name in self._names]
        start = min((at for at in starts if at is not None), default=None)
        return redacted if start is None else redacted[:start] + REDACTED

    def redact_timestamp(self, text: str) -> str:
        """Redact a timestamp as sent; digits of the time itself are no user id."""
        start = 0
        if self.user_id.isdecimal():
            start = min((text.find(c) for c in "[(" if c in text), default=len(text))
        return text[:start] + str(self.redact(text[start:]))

    def _is_same_number(self, value: Any) -> bool:
        whole = int(value)
        return whole == value and str(whole) == self.user_id

    def _start_of_cut(self, text: str, name: Sequence[str]) -> int | None:
        beginning = re.compile(_BEFORE + "".join(name[:_MIN_CUT]))
        for found in beginning.finditer(text) if len(name) > _MIN_CUT else ():
            end = found.end()
            for character in name[_MIN_CUT:]:
                if not (longer := re.compile(character).match(text, end)):
                    break
                end = longer.end()
            if _PART_OF_ESCAPE.match(text, end):
                return found.start()
        return None


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    return isinstance(value, int) or isfinite(value)


def _like(name: str) -> str:
    """A LIKE pattern of the characters that are the same in every form of a name."""
    return "%".join(["", *re.findall("[0-9a-z]+", name.translate(_LOWER)), ""])


def _expressions(name: str) -> list[str]:
    """One regular expression for each character of a name, in every form.

    Backslashes in a row share one: as many of them as a text has could be divided
    between several in too many ways.
    """
    ignores_case = "@" in name
    return [
        _backslashes(len(part))
        if len(part) > 1
        else _expression(part, ignores_case=ignores_case)
        for part in re.findall(r"\\{2,}|.", name, re.DOTALL)
    ]


def _backslashes(count: int) -> str:
    plain = [rf"\\{{{count << level}}}" for level in range(_ESCAPE_LEVELS + 1)]
    escaped = rf"(?:{_ESCAPE}u(?i:005c)){{{count}}}"
    encoded = rf"(?:%(?:25)*(?i:5c)){{{count}}}"
    return f"(?:{'|'.join([*plain, escaped, encoded])})"


def _expression(character: str, *, ignores_case: bool) -> str:
    """Match a character: itself or decomposed, in each case, and escaped."""
    cases = (character, character.lower(), character.upper())
    forms = dict.fromkeys(
        form
        for case in cases[: None if ignores_case else 1]
        for form in (case, unicodedata.normalize("NFD", case))
    )
    return f"(?:{'|'.join(''.join(map(_written, form)) for form in forms)})"


def _written(character: str) -> str:
    """A regular expression of one code point: plain, JSON-escaped, percent-encoded."""
    utf16 = character.encode("utf-16-be", "surrogatepass")
    units = [utf16[at : at + 2].hex() for at in range(0, len(utf16), 2)]
    written = [
        re.escape(character),
        "".join(f"{_ESCAPE}u(?i:{unit})" for unit in units),
        "".join(
            f"%(?:25)*(?i:{byte:02x})"
            for byte in character.encode("utf-8", "surrogatepass")
        ),
    ]
    if character in '"\\/':
        written.append(f"{_ESCAPE}{re.escape(character)}")
    if character in _LETTER_ESCAPES:
        written.append(f"{_ESCAPE}{_LETTER_ESCAPES[character]}")
    if character == " ":
        written.append(r"\+")
    return f"(?:{'|'.join(written)})"
