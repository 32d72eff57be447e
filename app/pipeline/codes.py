"""What every error and every warning means; the pages and `docs/wire.md` say it.

Those of a whole request are in `app.errors`, beside their status.
"""

from typing import NamedTuple


class Explanation(NamedTuple):
    """What is said of a code.

    Attributes:
        meaning: what it says of the event.
        remedy: what its sender can do.
    """

    meaning: str
    remedy: str


ERRORS: dict[str, Explanation] = {
    "invalid_type": Explanation(
        "A value has the wrong JSON type, or the event is no object.",
        "Send the type that the message names.",
    ),
    "missing_field": Explanation(
        "A required field or property is absent or null.", "Send it."
    ),
    "too_short": Explanation(
        "A text that must say something is empty.",
        "Send it, or leave it out where it is optional.",
    ),
    "too_long": Explanation(
        "A text is over its limit; the message says which.", "Shorten it."
    ),
    "invalid_email": Explanation(
        "`email` is not one `@` with something on both sides and no white space.",
        "Send the address alone, without a name.",
    ),
    "value_not_allowed": Explanation(
        "A property is none of the values that its declaration allows.",
        "Send one of the values that the message names.",
    ),
    "value_out_of_range": Explanation(
        "A number is below or above the limit of its declaration.",
        "Send a number within the limit that the message names.",
    ),
    "unknown_event": Explanation(
        "There is no event of this name; the message has the nearest one.",
        "Use a name that is listed.",
    ),
    "conflicting_fields": Explanation(
        "Two names of one field have different values.", "Send one of them."
    ),
    "invalid_character": Explanation(
        "A user, group or message id holds NUL or a lone surrogate.",
        "Mend where the id comes from.",
    ),
    "number_out_of_range": Explanation(
        "A number is no finite double, or an integer of more than 1,000 digits.",
        "Send it as text.",
    ),
    "duplicate_key": Explanation(
        "Two keys become equal once unstorable characters are replaced.", "Rename one."
    ),
    "too_deep": Explanation(
        "The event is nested too deep.", "Flatten it, or send the part as text."
    ),
    "event_too_large": Explanation("The event is too large.", "Send less in it."),
    "invalid_timestamp": Explanation(
        "The timestamp is none that can be read for certain.",
        "Send ISO 8601 with `Z` or an offset, such as `2023-11-02T00:30:08.276Z`.",
    ),
    "timestamp_out_of_range": Explanation(
        "The timestamp is before 1970 or too far in the future.",
        "Mend the clock or the unit.",
    ),
    "id_conflict": Explanation(
        "In `rejected_events` only: this id is stored with other content.",
        "Use a new message id for a new event.",
    ),
    "unstorable": Explanation(
        "Postgres refused the event, though it passed all checks.",
        "Tell the operator: this is a gap in the checks.",
    ),
    "erased": Explanation(
        "The event has been erased at a person's request; it is kept nowhere.",
        "Do not send it again.",
    ),
}

WARNINGS: dict[str, Explanation] = {
    "event_name_folded": Explanation(
        "The name was in title case and was read in snake_case.",
        "Nothing, if an SDK does it.",
    ),
    "missing_recommended": Explanation(
        "A property without which the event says less is absent.",
        "Send it, if you have it.",
    ),
    "coerced_to_text": Explanation(
        "An id was a JSON integer and was taken as its decimal text.", "Send text."
    ),
    "non_finite_number": Explanation(
        "NaN or an infinity was stored as null.", "Send null, or leave it out."
    ),
    "character_replaced": Explanation(
        "NUL or a lone surrogate was stored as U+FFFD.",
        "Mend where the text comes from.",
    ),
    "content_differs": Explanation(
        "This id is stored with other content, which stays; "
        "what came now is among the rejected events.",
        "Use a new message id for a new event.",
    ),
    "precision_cut": Explanation(
        "Digits past microseconds were dropped.", "Nothing, unless nanoseconds matter."
    ),
    "offset_assumed_utc": Explanation(
        "A time without an offset was taken for UTC.", "Send `Z` or the offset."
    ),
    "time_assumed_midnight": Explanation(
        "A date without a time was taken for midnight UTC.", "Send the time."
    ),
    "two_digit_year": Explanation(
        "A year had two digits; the message says how the date was read.",
        "Send four digits.",
    ),
    "leap_second": Explanation(
        "Second 60 was stored as the second after it.", "Nothing."
    ),
    "epoch_number": Explanation(
        "A number was read as seconds or milliseconds since 1970.", "Send text."
    ),
}
