"""What the labels of metrics can be.

Each is a closed set, so nothing that is sent can make the number of series grow. Those
of `door` and `code` are given to the layout by whoever has them.
"""

# The value of a label for whatever is not in its set; every set ends with it.
OTHER = "other"
# A request without an answer: its client left.
UNANSWERED = "0"

LABELS: dict[str, tuple[str, ...]] = {
    "status": (
        *(
            UNANSWERED,
            "200",
            "303",
            "304",
            "400",
            "401",
            "403",
            "404",
            "405",
            "408",
            "413",
        ),
        *("415", "422", "429", "431", "500", "503", OTHER),
    ),
    "result": (
        *("stored", "duplicate", "rejected", "buffered", "ignored", "valid", OTHER),
    ),
    "reason": (
        *("invalid_type", "missing_field", "too_short", "too_long", "invalid_email"),
        *("unknown_event", "conflicting_fields", "invalid_character"),
        *("number_out_of_range", "duplicate_key", "too_deep", "event_too_large"),
        *("invalid_timestamp", "timestamp_out_of_range", "id_conflict", "unstorable"),
        *("erased", "placeholder_id", "value_not_allowed", "value_out_of_range", OTHER),
    ),
    "warning": (
        *("event_name_folded", "missing_recommended", "coerced_to_text"),
        "undeclared_event",
        *("non_finite_number", "character_replaced", "precision_cut"),
        *("offset_assumed_utc", "time_assumed_midnight", "two_digit_year"),
        *("leap_second", "epoch_number", "content_differs", "placeholder_ignored"),
        *("empty_array_as_object", "unknown_field", "unknown_parameter"),
        *("corrected_by_operator", "zone_name_ignored", "not_iso_8601"),
        *("timestamp_assumed_received", "ahead_of_receipt", OTHER),
    ),
    "kind": (
        *("connection", "timeout", "lock", "conflict", "resources", "read_only"),
        *("shutdown", OTHER),
    ),
    "pool": ("writing", "reading", OTHER),
    "task": ("partitions", "retention", "sessions", OTHER),
}
