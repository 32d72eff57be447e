"""The cap of the quarantine: an index for counting, and a table of drops."""

from migrations.statements import execute_script

revision = "20261121T2218Z"
down_revision = "20261121T2140Z"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, and the indexes that counting and listing go by."""
    execute_script("tables/rejected_drops_v1.sql")


def downgrade() -> None:
    """Refuse: the release before this one works with the schema as it is."""
    raise NotImplementedError("Nothing needs to be undone for an older release.")
