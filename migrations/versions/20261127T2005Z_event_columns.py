"""Columns for unknown fields, shards, imports, erasure and corrections."""

from migrations.statements import execute_script

revision = "20261127T2005Z"
down_revision = "20261122T0055Z"
branch_labels = None
depends_on = None

_FILES = (
    "tables/event_columns_v1.sql",
    "views/signed_up_v2.sql",
    "views/account_added_user_v2.sql",
)


def upgrade() -> None:
    """Add the columns, which no older release reads, and append them to the views."""
    for path in _FILES:
        execute_script(path)


def downgrade() -> None:
    """Refuse: the release before this one works with the schema as it is."""
    raise NotImplementedError("Nothing needs to be undone for an older release.")
