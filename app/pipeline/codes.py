"""The meaning and remedy of each code; the pages and `docs/wire.md` print them."""

from typing import NamedTuple

from app.pipeline.issues import ErrorCode, WarningCode


class Explanation(NamedTuple):
    """The documentation of one code.

    Attributes:
        meaning: one sentence about the event.
        remedy: advice for the sender.
    """

    meaning: str
    remedy: str


ERROR_TEXTS: dict[ErrorCode, Explanation] = {
    ErrorCode.INVALID_TYPE: Explanation(
        "A value has the wrong JSON type, or the event is not an object.",
        "Send the type that the message names.",
    ),
    ErrorCode.MISSING_FIELD: Explanation(
        "A required field or property is absent or null; the message names the field "
        "that was probably meant.",
        "Send it under its documented name.",
    ),
    ErrorCode.TOO_SHORT: Explanation(
        "A required text is empty.",
        "Send a value, or leave the field out where it is optional.",
    ),
    ErrorCode.TOO_LONG: Explanation(
        "A text is longer than its limit, which the message names.", "Shorten it."
    ),
    ErrorCode.INVALID_EMAIL: Explanation(
        "`email` is not one `@` with something on both sides, without white space and "
        "invisible characters.",
        "Send the address alone, without a name.",
    ),
    ErrorCode.VALUE_NOT_ALLOWED: Explanation(
        "The declaration of the property does not allow this value.",
        "Send one of the values that the message names.",
    ),
    ErrorCode.VALUE_OUT_OF_RANGE: Explanation(
        "A number is below or above the limit of its declaration.",
        "Send a number within the limit that the message names.",
    ),
    ErrorCode.UNKNOWN_EVENT: Explanation(
        "No event has this name; the message names the nearest one, if one is near.",
        "Use a documented name.",
    ),
    ErrorCode.CONFLICTING_FIELDS: Explanation(
        "Two names of one field have different values.", "Send one of them."
    ),
    ErrorCode.INVALID_CHARACTER: Explanation(
        "A user, group or message id contains NUL or a lone surrogate.",
        "Fix the code that creates the id.",
    ),
    ErrorCode.PLACEHOLDER_ID: Explanation(
        "A user or group id is a placeholder that programs write where there is no "
        "value, such as `undefined`.",
        "Send the real id; fix the code that turns a missing value into text.",
    ),
    ErrorCode.NUMBER_OUT_OF_RANGE: Explanation(
        "A number is beyond the range of a double, or an integer has more than 1,000 "
        "digits.",
        "Send it as text.",
    ),
    ErrorCode.DUPLICATE_KEY: Explanation(
        "Two keys become equal once unstorable characters are replaced.", "Rename one."
    ),
    ErrorCode.TOO_DEEP: Explanation(
        "The event is nested too deeply.",
        "Flatten it, or send the nested part as text.",
    ),
    ErrorCode.EVENT_TOO_LARGE: Explanation(
        "The event is too large.", "Send fewer or shorter properties."
    ),
    ErrorCode.INVALID_TIMESTAMP: Explanation(
        "The timestamp has no certain reading; the message says what was understood.",
        "Send ISO 8601 with `Z` or an offset, such as `2023-11-02T00:30:08.276Z`.",
    ),
    ErrorCode.TIMESTAMP_OUT_OF_RANGE: Explanation(
        "The timestamp is too early or too far in the future; the message says which "
        "instant was read.",
        "Correct the clock or the unit.",
    ),
    ErrorCode.ID_CONFLICT: Explanation(
        "In `rejected_events` only: an event with this id and other content is stored.",
        "Use a new message id for each event.",
    ),
    ErrorCode.UNSTORABLE: Explanation(
        "Postgres refused the event although it passed all checks.",
        "Report it to the operator: the checks have a gap.",
    ),
    ErrorCode.ERASED: Explanation(
        "The event has been erased at a person's request; it is kept nowhere.",
        "Do not send it again.",
    ),
}

WARNING_TEXTS: dict[WarningCode, Explanation] = {
    WarningCode.EVENT_NAME_FOLDED: Explanation(
        "The event name was in title case and was read in snake_case.",
        "Nothing, if an SDK does it.",
    ),
    WarningCode.UNDECLARED_EVENT: Explanation(
        "No event of this name is declared; only the envelope was validated.",
        "Nothing, or ask the operator to declare the event.",
    ),
    WarningCode.MISSING_RECOMMENDED: Explanation(
        "A recommended property is absent.", "Send it, if you have it."
    ),
    WarningCode.COERCED_TO_TEXT: Explanation(
        "An id was a JSON integer and was read as its decimal text.", "Send text."
    ),
    WarningCode.PLACEHOLDER_IGNORED: Explanation(
        "The message id is a placeholder such as `undefined`, so the event was stored"
        " without a message id.",
        "Send a real message id, or none.",
    ),
    WarningCode.EMPTY_ARRAY_AS_OBJECT: Explanation(
        "An empty array was read as an empty object, as PHP encodes one.",
        "Encode an empty object, in PHP with `(object) []`.",
    ),
    WarningCode.UNKNOWN_FIELD: Explanation(
        "A top-level field is not part of the envelope; it was kept in the column "
        "`extra`.",
        "Correct the name, or move the field into `properties` or `context`.",
    ),
    WarningCode.UNKNOWN_PARAMETER: Explanation(
        "A query parameter is unknown and was ignored.",
        "Correct or remove the parameter.",
    ),
    WarningCode.NON_FINITE_NUMBER: Explanation(
        "NaN or an infinity was stored as null.", "Send null, or leave it out."
    ),
    WarningCode.CHARACTER_REPLACED: Explanation(
        "NUL or a lone surrogate was stored as U+FFFD.",
        "Fix the code that creates the text.",
    ),
    WarningCode.CONTENT_DIFFERS: Explanation(
        "An event with this id and other content is stored and stays; this one was "
        "kept in `rejected_events`.",
        "Use a new message id for each event.",
    ),
    WarningCode.CORRECTED_BY_OPERATOR: Explanation(
        "An operator changed a field when replaying the rejected event.",
        "Fix the sender, if it still sends the old value.",
    ),
    WarningCode.PRECISION_CUT: Explanation(
        "Digits beyond microseconds were cut off.",
        "Nothing, unless you need nanoseconds.",
    ),
    WarningCode.ZONE_NAME_IGNORED: Explanation(
        "The name of a time zone after the offset was not read; the offset decided.",
        "Nothing.",
    ),
    WarningCode.NOT_ISO_8601: Explanation(
        "The timestamp had another standard form, such as that of HTTP dates.",
        "Send ISO 8601.",
    ),
    WarningCode.OFFSET_ASSUMED_UTC: Explanation(
        "A time without an offset was read as UTC.", "Send `Z` or the offset."
    ),
    WarningCode.TIME_ASSUMED_MIDNIGHT: Explanation(
        "A date without a time was read as midnight UTC.", "Send the time."
    ),
    WarningCode.TWO_DIGIT_YEAR: Explanation(
        "The year had two digits; the message says how the date was read.",
        "Send four digits.",
    ),
    WarningCode.LEAP_SECOND: Explanation(
        "Second 60 was stored as the following second.", "Nothing."
    ),
    WarningCode.EPOCH_NUMBER: Explanation(
        "The timestamp was a number since 1970; the message says in which unit it was"
        " read.",
        "Send ISO 8601 text.",
    ),
    WarningCode.TIMESTAMP_ASSUMED_RECEIVED: Explanation(
        "The event had no timestamp; the time of receipt was taken.",
        "Send the time at which the event happened.",
    ),
    WarningCode.AHEAD_OF_RECEIPT: Explanation(
        "The timestamp lies more than an hour after the receipt of the event.",
        "Check whether local time was labelled as UTC, and check the clock.",
    ),
}
