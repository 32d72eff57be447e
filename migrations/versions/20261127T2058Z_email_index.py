"""A function that indexes the email addresses of closed weeks."""

from migrations.statements import execute_script

revision = "20261127T2058Z"
down_revision = "20261127T2050Z"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the function."""
    execute_script("functions/rollcall_index_closed_week_v2.sql")


def downgrade() -> None:
    """Refuse: the release before this one works with the schema as it is."""
    raise NotImplementedError("Nothing needs to be undone for an older release.")
