"""Sanitizing: values that Postgres cannot hold, repaired with a warning for each place.

NaN and infinities become null; NUL and lone surrogates become U+FFFD. A value that
cannot be repaired without a guess (a number out of range, two keys that become one) is
an error.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

from app.pipeline.issues import ErrorCode, Issue, WarningCode
from app.pipeline.json_decode import (
    FAST_INTEGERS,
    MAX_INTEGER_DIGITS,
    OutOfRangeNumber,
)

# Issues of one code for one event; the last one says that no more are listed.
MAX_WARNINGS = 16
_MAX_KEY_IN_PATH = 64
# Limit of a whole path, so that the issues of an event cannot outgrow the event.
MAX_PATH = 256

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_UNPRINTABLE = re.compile("[^ -~\u00a1-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_storable(text: str) -> bool:
    """Whether Postgres can hold the text: no NUL, no lone surrogate."""
    return _UNSTORABLE.search(text) is None


def replace_unstorable(text: str) -> str:
    """The text with U+FFFD for each NUL and each lone surrogate."""
    return _UNSTORABLE.sub("\ufffd", text)


@dataclass(slots=True)
class Sanitizer:
    """Repairs the values of one event.

    Attributes:
        needs_exact_encoding: whether the fast encoder cannot write the values as sent.
        warnings: one for each repaired place, at most 16 of a code.
        errors: values that cannot be repaired.
    """

    needs_exact_encoding: bool = False
    warnings: list[Issue] = field(default_factory=list)
    errors: list[Issue] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)

    def clean(self, value: Any, path: str) -> Any:
        """The value as it can be stored; the one that was sent is not modified.

        Args:
            value: decoded JSON, at most a few hundred levels deep.
            path: its place in the event.
        """
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, dict):
            return self._members(value, path)
        if isinstance(value, list):
            return [self.clean(inner, f"{path}[{i}]") for i, inner in enumerate(value)]
        if isinstance(value, float):
            return self._float(value, path)
        if isinstance(value, OutOfRangeNumber):
            self._note(
                self.errors,
                ErrorCode.NUMBER_OUT_OF_RANGE,
                path,
                "A number must be within the range of a double, and an integer "
                f"must have at most {MAX_INTEGER_DIGITS} digits.",
            )
        elif isinstance(value, int):
            self.needs_exact_encoding |= value not in FAST_INTEGERS
        return value

    def warn(self, code: WarningCode, path: str, message: str) -> None:
        """Add a warning."""
        self._note(self.warnings, code, path, message)

    def _float(self, value: float, path: str) -> float | None:
        if math.isfinite(value):
            return value
        self.needs_exact_encoding = True
        self._note(
            self.warnings,
            WarningCode.NON_FINITE_NUMBER,
            path,
            "JSON has no NaN and no Infinity: it becomes null.",
        )
        return None

    def _text(self, value: str, path: str) -> str:
        if is_storable(value):
            return value
        self.needs_exact_encoding = True
        self._note(
            self.warnings,
            WarningCode.CHARACTER_REPLACED,
            path,
            "Postgres holds neither NUL nor lone surrogates: it becomes U+FFFD.",
        )
        return replace_unstorable(value)

    def _members(self, value: dict[str, Any], path: str) -> dict[str, Any]:
        cleaned: dict[str, Any] = {}
        for key, inner in value.items():
            inner_path = join_path(path, key)
            stored_key = self._text(key, inner_path)
            if stored_key in cleaned:
                self._note(
                    self.errors,
                    ErrorCode.DUPLICATE_KEY,
                    inner_path,
                    "Two keys become equal once unstorable characters are replaced.",
                )
            cleaned[stored_key] = self.clean(inner, inner_path)
        return cleaned

    def _note(self, issues: list[Issue], code: str, path: str, message: str) -> None:
        count = self._counts[code] = self._counts.get(code, 0) + 1
        path = path[:MAX_PATH]
        if count < MAX_WARNINGS:
            issues.append(Issue(code, path, message))
        elif count == MAX_WARNINGS:
            issues.append(Issue(code, path, f"{message} No further place is listed."))


def join_path(path: str, key: str) -> str:
    """The path of a member; a key that is long or not printable is cut and cleaned."""
    return f"{path}.{shown_key(key)}" if path else shown_key(key)


def shown_key(key: str) -> str:
    """A key as issues show it."""
    return _UNPRINTABLE.sub("\ufffd", key[:_MAX_KEY_IN_PATH])
