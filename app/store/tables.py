r"""The tables that SQLAlchemy Core reads and writes: names and types of their columns.

The migrations make them, with keys, indexes, defaults and comments; a test compares the
columns with theirs. `\d+ TABLE` in psql shows the meaning of each column.
"""

from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

_Kind: TypeAlias = TypeEngine[Any] | type[TypeEngine[Any]]

INSTANT = DateTime(timezone=True)
metadata = MetaData()


def _table(name: str, /, **columns: _Kind) -> Table:
    return Table(name, metadata, *(Column(*column) for column in columns.items()))


events = _table(
    "events",
    id=Uuid,
    source=Text,
    event=Text,
    user_id=Text,
    group_id=Text,
    timestamp=INSTANT,
    timestamp_raw=Text,
    received_at=INSTANT,
    stored_at=INSTANT,
    message_id=Text,
    properties=JSONB,
    context=JSONB,
    warnings=JSONB,
    extra=JSONB,
    bucket=Integer,
    import_id=Uuid,
)
event_ids = _table(
    "event_ids",
    id=Uuid,
    stored_at=INSTANT,
    content_hash=LargeBinary,
    bucket=Integer,
    erased_at=INSTANT,
)
rejected_events = _table(
    "rejected_events",
    id=Uuid,
    received_at=INSTANT,
    source=Text,
    event=Text,
    message_id=Text,
    reason=Text,
    errors=JSONB,
    warnings=JSONB,
    payload=Text,
    payload_bytes=Integer,
    truncated=Boolean,
    request_id=Text,
    stored_at=INSTANT,
    corrected_at=INSTANT,
    corrected_as=Uuid,
)
rejected_drops = _table(
    "rejected_drops", minute=INSTANT, source=Text, worker=Text, events=BigInteger
)
sources = _table("sources", name=Text, created_at=INSTANT)
write_keys = _table(
    "write_keys",
    id=Text,
    key_hash=LargeBinary,
    source=Text,
    created_at=INSTANT,
    revoked_at=INSTANT,
    scope=Text,
    expires_at=INSTANT,
    note=Text,
    last_used_on=Date,
)
buckets = _table("buckets", bucket=Integer)
event_declarations = _table(
    "event_declarations",
    event=Text,
    digest=Text,
    declaration=JSONB,
    columns=JSONB,
    migrated_at=INSTANT,
)
