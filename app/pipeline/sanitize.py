"""What senders send and Postgres cannot hold, mended with a warning for each place.

NaN and infinities become null; NUL and lone surrogates become U+FFFD. What cannot
be mended without a guess (a number out of range, two keys that become one) is an
error.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

from app.pipeline.issues import Issue
from app.pipeline.json_decode import MAX_INTEGER_DIGITS, OutOfRangeNumber

# Remarks of one code for one event; the last one says that no more are listed.
MAX_WARNINGS = 16
_MAX_KEY_IN_PATH = 64
# Of a whole path: what is said of an event must not outgrow it.
MAX_PATH = 256
_MAX_64_BIT = 2**64 - 1
_MIN_64_BIT = -(2**63)

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_UNPRINTABLE = re.compile("[^ -~\u00a1-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_storable(text: str) -> bool:
    """Whether Postgres can hold the text: no NUL, no lone surrogate."""
    return _UNSTORABLE.search(text) is None


def replace_unstorable(text: str) -> str:
    """The text with U+FFFD for each NUL and each lone surrogate."""
    return _UNSTORABLE.sub("\ufffd", text)


@dataclass(slots=True)
class Repair:
    """The repair of one event.

    Attributes:
        odd: whether the fast encoder cannot write the value as it was sent.
        warnings: one for each place that was mended, at most 16 of a code.
        errors: what cannot be mended.
    """

    odd: bool = False
    warnings: list[Issue] = field(default_factory=list)
    errors: list[Issue] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)

    def mend(self, value: Any, path: str) -> Any:
        """The value as it can be stored; what was sent stays untouched.

        Args:
            value: decoded JSON, at most a few hundred levels deep.
            path: where it stands in the event.
        """
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, dict):
            return self._members(value, path)
        if isinstance(value, list):
            return [self.mend(inner, f"{path}[{i}]") for i, inner in enumerate(value)]
        if isinstance(value, float):
            return self._float(value, path)
        if isinstance(value, OutOfRangeNumber):
            self._note(
                self.errors,
                "number_out_of_range",
                path,
                "A number must be a finite double or an integer of at most "
                f"{MAX_INTEGER_DIGITS} digits.",
            )
        elif isinstance(value, int):
            self.odd = self.odd or not _MIN_64_BIT <= value <= _MAX_64_BIT
        return value

    def _float(self, value: float, path: str) -> float | None:
        if math.isfinite(value):
            return value
        self.odd = True
        self._note(
            self.warnings,
            "non_finite_number",
            path,
            "JSON has no NaN and no Infinity: stored as null.",
        )
        return None

    def _text(self, value: str, path: str) -> str:
        if is_storable(value):
            return value
        self.odd = True
        self._note(
            self.warnings,
            "character_replaced",
            path,
            "Postgres holds neither NUL nor lone surrogates: stored as U+FFFD.",
        )
        return replace_unstorable(value)

    def _members(self, value: dict[str, Any], path: str) -> dict[str, Any]:
        mended: dict[str, Any] = {}
        for key, inner in value.items():
            inner_path = join_path(path, key)
            stored_key = self._text(key, inner_path)
            if stored_key in mended:
                self._note(
                    self.errors,
                    "duplicate_key",
                    inner_path,
                    "Two keys become equal once unstorable characters are replaced.",
                )
            mended[stored_key] = self.mend(inner, inner_path)
        return mended

    def _note(self, issues: list[Issue], code: str, path: str, message: str) -> None:
        count = self._counts[code] = self._counts.get(code, 0) + 1
        path = path[:MAX_PATH]
        if count < MAX_WARNINGS:
            issues.append(Issue(code, path, message))
        elif count == MAX_WARNINGS:
            issues.append(Issue(code, path, f"{message} No further place is listed."))


def join_path(path: str, key: str) -> str:
    """The path of a member; a key that is long or not printable is cut and cleaned."""
    shown = _UNPRINTABLE.sub("\ufffd", key[:_MAX_KEY_IN_PATH])
    return f"{path}.{shown}"
