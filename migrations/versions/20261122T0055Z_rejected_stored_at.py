"""When a rejected event became visible, which its receipt may precede by hours."""

from migrations.statements import execute_script

revision = "20261122T0055Z"
down_revision = "20261122T0045Z"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, which fills itself, and the index that the live page polls."""
    execute_script("tables/rejected_stored_at_v1.sql")


def downgrade() -> None:
    """Refuse: the release before this one works with the schema as it is."""
    raise NotImplementedError("Nothing needs to be undone for an older release.")
