"""Read keys, and browsers that are signed in with them."""

from migrations.statements import execute_script

revision = "20261122T0045Z"
down_revision = "20261121T2218Z"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the scope of keys, `write` for all existing ones, and tables."""
    execute_script("tables/reading_v1.sql")


def downgrade() -> None:
    """Refuse: the release before this one works with the schema as it is."""
    raise NotImplementedError("Nothing needs to be undone for an older release.")
