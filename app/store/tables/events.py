"""The tables of stored and rejected events."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.store.tables.columns import INSTANT, column, metadata, optional

_ID = "The event's identity; event_ids keeps it unique"
_RECEIVED_AT = "When its request arrived, by the service's clock"
_SOURCE = "Who sent it: the source of the write key"
_WARNINGS = "What was repaired or assumed: a list of {code, path, message}"

events = Table(
    "events",
    metadata,
    column("id", Uuid, _ID),
    column("source", Text, _SOURCE),
    column("event", Text, "Name of the event, such as signed_up"),
    column("user_id", Text, "The user it is about, as sent; any text, seldom a UUID"),
    optional(
        "group_id", Text, "The account it is about, as sent; NULL if none was named"
    ),
    column(
        "timestamp", INSTANT, "When it happened, says the sender, to the microsecond"
    ),
    column(
        "timestamp_raw", Text, "The timestamp as sent; warnings tell what was assumed"
    ),
    column("received_at", INSTANT, _RECEIVED_AT),
    column(
        "stored_at",
        INSTANT,
        "When its transaction began, by Postgres's clock; the partition key",
        server_default=func.now(),
    ),
    optional("message_id", Text, "The sender's own id of it; NULL if none was sent"),
    column("properties", JSONB, "The properties as sent; the views name some"),
    column("context", JSONB, "The context as sent; {} if none was sent"),
    column("warnings", JSONB, _WARNINGS, server_default=text("'[]'::jsonb")),
    column(
        "extra",
        JSONB,
        "Unknown top-level fields of the event as sent; {} if there were none",
        server_default=text("'{}'::jsonb"),
    ),
    column(
        "bucket",
        Integer,
        "Shard of the user on Citus; 0 on a single server."
        " Joins on user_id should compare it, too",
        server_default=text("0"),
    ),
    optional(
        "import_id",
        Uuid,
        "Id of the import that stored the event; NULL if it came over HTTP",
    ),
    # Each index names the query that it serves in its own comment.
    Index("events_user_id_timestamp_idx", "user_id", "timestamp"),
    Index(
        "events_group_id_timestamp_idx",
        "group_id",
        "timestamp",
        postgresql_where=text("group_id IS NOT NULL"),
    ),
    Index("events_stored_at_idx", "stored_at"),
    Index(
        "events_timestamp_idx",
        "timestamp",
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    ),
    Index(
        "events_import_id_idx",
        "import_id",
        postgresql_where=text("import_id IS NOT NULL"),
    ),
    comment="Every event, exactly once; a partition a week of stored_at (UTC)",
    postgresql_partition_by="RANGE (stored_at)",
)

event_ids = Table(
    "event_ids",
    metadata,
    column(
        "id",
        Uuid,
        "The event's identity: a hash of source and message id or content",
        primary_key=True,
    ),
    column("stored_at", INSTANT, "stored_at of its row in events: finds its partition"),
    column(
        "content_hash",
        LargeBinary,
        "Hash of the content, to tell a retry from other content",
    ),
    column("bucket", Integer, "bucket of its row in events", server_default=text("0")),
    optional(
        "erased_at",
        INSTANT,
        "When the event was erased; its id is never stored again."
        " NULL while it is stored",
    ),
    comment="Which events are stored: claims each id in the transaction of its row",
)

rejected_events = Table(
    "rejected_events",
    metadata,
    column(
        "id", Uuid, "Hash of source, message id, payload and reason", primary_key=True
    ),
    column("received_at", INSTANT, _RECEIVED_AT),
    column("source", Text, _SOURCE),
    optional("event", Text, "Its event name; NULL if it had none to read"),
    optional("message_id", Text, "The sender's own id of it; NULL if none was sent"),
    column("reason", Text, "Code of the first error, such as invalid_timestamp"),
    column("errors", JSONB, "All that is wrong: a list of {code, path, message}"),
    column("warnings", JSONB, _WARNINGS),
    column("payload", Text, "Its JSON before repair, ASCII-escaped, at most 128 KiB"),
    column("payload_bytes", Integer, "Bytes of the whole payload, cut or not"),
    column("truncated", Boolean, "Whether payload was cut, so cannot be replayed"),
    column("request_id", Text, "Id of the request that brought it; the log has it"),
    column(
        "stored_at",
        INSTANT,
        "When its transaction began, by Postgres's clock",
        server_default=func.now(),
    ),
    optional(
        "corrected_at",
        INSTANT,
        "When an operator corrected the payload and stored the result;"
        " NULL if nobody did",
    ),
    optional(
        "corrected_as",
        Uuid,
        "id in events of the corrected event; NULL if there is none",
    ),
    Index(
        "rejected_events_source_received_at_idx",
        "source",
        "received_at",
        postgresql_include=["payload_bytes"],
    ),
    Index("rejected_events_received_at_id_idx", "received_at", "id"),
    Index("rejected_events_stored_at_idx", "stored_at"),
    comment="The quarantine: events that were refused, with the reasons",
)

rejected_drops = Table(
    "rejected_drops",
    metadata,
    column(
        "minute",
        INSTANT,
        "The minute in which the events were received",
        primary_key=True,
    ),
    column("source", Text, "Who sent them", primary_key=True),
    column(
        "worker", Text, "Random id of the process that counted them", primary_key=True
    ),
    column("events", BigInteger, "How many; one that was sent twice counts twice"),
    comment="Counts of rejected events that were not kept: the quarantine was full",
)
