"""The buckets that events are divided into."""

from sqlalchemy import Integer, Table

from app.store.tables.columns import column, metadata

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
