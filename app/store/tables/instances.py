"""Running instances of the service."""

from sqlalchemy import Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from app.store.tables.columns import INSTANT, column, metadata

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
