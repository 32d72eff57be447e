"""The tables of the audit log, declarations, erasures and running instances."""

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.store.tables.columns import INSTANT, column, metadata, optional

audit_log = Table(
    "audit_log",
    metadata,
    Column(
        "id",
        BigInteger,
        Identity(always=True),
        primary_key=True,
        comment="Number of the row",
    ),
    column(
        "at",
        INSTANT,
        "When its transaction began, by Postgres's clock",
        server_default=func.now(),
    ),
    column(
        "actor",
        Text,
        "key:ID for a key or session, cli:USER for a command, service for the service",
    ),
    column(
        "action", Text, "Action, such as key.create, read, rejected.replay or retention"
    ),
    optional(
        "subject",
        Text,
        "Id of the key, event, import or receipt; NULL if there is none",
    ),
    column(
        "details",
        JSONB,
        "Counts and ids, as a JSON object",
        server_default=text("'{}'"),
    ),
    column(
        "database_role",
        Text,
        "Postgres role that logged in",
        server_default=text("SESSION_USER"),
    ),
    Index("audit_log_at_idx", "at"),
    comment="Actions of operators, and reads of payloads by key and minute; ids,"
    " never payloads",
)

buckets = Table(
    "buckets",
    metadata,
    column(
        "bucket",
        Integer,
        "Value of bucket in events and event_ids; fixed once events are stored",
        primary_key=True,
        autoincrement=False,
    ),
    comment="The buckets that events are divided into by user: 0 on a single server,"
    " one for each shard on Citus",
)

event_declarations = Table(
    "event_declarations",
    metadata,
    column("event", Text, "Name of the event and of its view", primary_key=True),
    column("digest", Text, "Digest of the declaration that the view was made from"),
    column("declaration", JSONB, "The declaration that the view was made from"),
    column(
        "columns",
        JSONB,
        "Columns of the view that show properties, in order; none is ever dropped",
    ),
    column(
        "migrated_at",
        INSTANT,
        "When the view was created or extended",
        server_default=func.now(),
    ),
    comment="Declared events that have a typed view, with the version it was made from",
)

erasures = Table(
    "erasures",
    metadata,
    column("id", Uuid, "Id of the receipt, printed by the command", primary_key=True),
    column(
        "erased_at",
        INSTANT,
        "When its transaction began, by Postgres's clock",
        server_default=func.now(),
    ),
    column(
        "erased_by", Text, "Database role and operating system user of the operator"
    ),
    column(
        "counts",
        JSONB,
        "Rows deleted and redacted, by table, and entries found in journals",
    ),
    comment="Receipts of `rollcall erase`: when, by whom and how much,"
    " without personal data",
)

instances = Table(
    "instances",
    metadata,
    column("name", Text, "Host name and port", primary_key=True),
    column("version", Text, "Release of Rollcall"),
    column(
        "settings",
        JSONB,
        "Settings that all instances should share, by name; never a secret",
    ),
    column(
        "last_seen_at",
        INSTANT,
        "Time of the last report; a running instance reports once a minute",
    ),
    comment="Instances of the service and the settings that they should share; a row "
    "is deleted a day after its last report",
)

leases = Table(
    "leases",
    metadata,
    column("name", Text, "The task", primary_key=True),
    column("holder", Text, "The process that runs it: host, pid and a random part"),
    column(
        "expires_at",
        INSTANT,
        "When another process may take the lease; the holder extends it while it works",
    ),
    comment="Tasks that only one process may run at a time, such as retention",
)
