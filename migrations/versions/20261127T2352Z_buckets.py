"""The table of buckets, with the one bucket of a single server."""

from migrations.statements import execute_script

revision = "20261127T2352Z"
down_revision = "20261127T2320Z"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table, which no older release reads."""
    execute_script("tables/buckets_v1.sql")


def downgrade() -> None:
    """Refuse: the release before this one works with the schema as it is."""
    raise NotImplementedError("Nothing needs to be undone for an older release.")
