"""Issues: the errors and warnings of one event, and all their codes.

Documents, OpenAPI, metrics and tests take the codes from here. The codes of errors
that refuse a whole request are in `app.request_errors`, with their status.
"""

from enum import StrEnum
from typing import Any, NamedTuple


class ErrorCode(StrEnum):
    """Code of an error that rejects one event."""

    INVALID_TYPE = "invalid_type"
    MISSING_FIELD = "missing_field"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    INVALID_EMAIL = "invalid_email"
    VALUE_NOT_ALLOWED = "value_not_allowed"
    VALUE_OUT_OF_RANGE = "value_out_of_range"
    UNKNOWN_EVENT = "unknown_event"
    CONFLICTING_FIELDS = "conflicting_fields"
    INVALID_CHARACTER = "invalid_character"
    PLACEHOLDER_ID = "placeholder_id"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    DUPLICATE_KEY = "duplicate_key"
    TOO_DEEP = "too_deep"
    EVENT_TOO_LARGE = "event_too_large"
    INVALID_TIMESTAMP = "invalid_timestamp"
    TIMESTAMP_OUT_OF_RANGE = "timestamp_out_of_range"
    ID_CONFLICT = "id_conflict"
    UNSTORABLE = "unstorable"
    ERASED = "erased"


class WarningCode(StrEnum):
    """Code of an assumption about one event, or of a repair of it."""

    EVENT_NAME_FOLDED = "event_name_folded"
    UNDECLARED_EVENT = "undeclared_event"
    MISSING_RECOMMENDED = "missing_recommended"
    COERCED_TO_TEXT = "coerced_to_text"
    PLACEHOLDER_IGNORED = "placeholder_ignored"
    EMPTY_ARRAY_AS_OBJECT = "empty_array_as_object"
    UNKNOWN_FIELD = "unknown_field"
    UNKNOWN_PARAMETER = "unknown_parameter"
    NON_FINITE_NUMBER = "non_finite_number"
    CHARACTER_REPLACED = "character_replaced"
    CONTENT_DIFFERS = "content_differs"
    CORRECTED_BY_OPERATOR = "corrected_by_operator"
    PRECISION_CUT = "precision_cut"
    ZONE_NAME_IGNORED = "zone_name_ignored"
    NOT_ISO_8601 = "not_iso_8601"
    OFFSET_ASSUMED_UTC = "offset_assumed_utc"
    TIME_ASSUMED_MIDNIGHT = "time_assumed_midnight"
    TWO_DIGIT_YEAR = "two_digit_year"
    LEAP_SECOND = "leap_second"
    EPOCH_NUMBER = "epoch_number"
    TIMESTAMP_ASSUMED_RECEIVED = "timestamp_assumed_received"
    AHEAD_OF_RECEIPT = "ahead_of_receipt"


# Only in responses: the event is stored as sent, so the row has no repair to record.
UNSTORED_WARNINGS = frozenset({WarningCode.MISSING_RECOMMENDED})


class Issue(NamedTuple):
    """One error or one warning.

    Attributes:
        code: an `ErrorCode` or a `WarningCode`; part of the wire contract. A plain
            text is the code of another release, or of an error in `app.request_errors`.
        path: the place in the sender's own names: `userId`, `properties.email`,
            `context.tags[3]`.
        message: one sentence for a person; never holds a value of the payload.
    """

    code: str
    path: str
    message: str

    def as_json(self) -> dict[str, Any]:
        """The form in responses and in the jsonb columns."""
        return {"code": self.code, "path": self.path, "message": self.message}
