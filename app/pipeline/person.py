"""Finding and redacting the traces of one person in JSON values and texts.

A trace is an id or an email address of the person as a whole word: no ASCII letter or
digit stands directly before or after it. So `42` is found in `signed_up:42` and not in
`1426`. Email addresses are compared without regard to case.
"""

import json
import math
import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from app.events.envelope import USER_NAMES

REDACTED = "[erased]"


class Person:
    """The ids and email addresses of one person.

    Args:
        user_id: as stored in `events.user_id`.
        emails: addresses of the person.
    """

    def __init__(self, user_id: str, emails: Iterable[str] = ()) -> None:
        self.user_id = user_id
        self._emails = {email.casefold() for email in emails}
        self.forms = sorted(
            {form for name in (user_id, *emails) for form in _forms_of(name)}
        )
        words = "|".join(
            f"(?i:{re.escape(form)})"
            if "@" in form or "%40" in form
            else re.escape(form)
            for form in sorted(self.forms, key=len, reverse=True)
        )
        self._pattern = re.compile(f"(?<![0-9A-Za-z])(?:{words})(?![0-9A-Za-z])")

    def is_user(self, value: object) -> bool:
        """Whether a user id, text or number, is the person's."""
        if isinstance(value, str):
            return value == self.user_id or value.casefold() in self._emails
        return _is_number(value) and self._is_same_number(value)

    def owns(self, event: object) -> bool:
        """Whether an event as sent is about the person."""
        return isinstance(event, dict) and any(
            self.is_user(event.get(name)) for name in USER_NAMES
        )

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

    def _is_same_number(self, value: Any) -> bool:
        return value == value // 1 and str(int(value)) == self.user_id


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    return isinstance(value, int) or math.isfinite(value)


def _forms_of(name: str) -> set[str]:
    """The name in each form that a text can hold it in."""
    normal = {name, *(unicodedata.normalize(f, name) for f in ("NFC", "NFD"))}
    forms = set(normal)
    for form in normal:
        forms.add(json.dumps(form)[1:-1])
        forms.add(json.dumps(form, ensure_ascii=False)[1:-1])
        forms.add(quote(form, safe=""))
        forms.add(quote(form, safe="@"))
    return forms
