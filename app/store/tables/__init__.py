r"""The tables, for SQLAlchemy Core.

The migrations create them; a test compares the two. The comment of each column gives
its meaning, here and with `\d+ TABLE` in psql.
"""

from app.store.tables import access, events, operation
from app.store.tables.columns import metadata

__all__ = ["access", "events", "metadata", "operation"]
