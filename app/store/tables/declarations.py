"""The table of declared events whose typed views exist."""

from sqlalchemy import Table, Text, func
from sqlalchemy.dialects.postgresql import JSONB

from app.store.tables.columns import INSTANT, column, metadata

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
