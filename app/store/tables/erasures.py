"""Receipts of erasures."""

from sqlalchemy import Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB

from app.store.tables.columns import INSTANT, column, metadata

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
