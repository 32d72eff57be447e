"""A function that indexes the email addresses of closed weeks."""

from alembic import op

from migrations.statements import statements

revision = "20261127T2058Z"
down_revision = "20261127T2050Z"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the function."""
    for statement in statements("functions/rollcall_index_closed_week_v1.sql"):
        op.execute(statement)


def downgrade() -> None:
    """Refuse: the release before this one works with the schema as it is."""
    raise NotImplementedError("Nothing needs to be undone for an older release.")
