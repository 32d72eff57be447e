"""Leases of tasks that one process runs at a time."""

from sqlalchemy import Table, Text

from app.store.tables.columns import INSTANT, column, metadata

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
