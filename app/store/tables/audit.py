"""The audit log."""

from sqlalchemy import BigInteger, Column, Identity, Index, Table, Text, func, text
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
