"""What reading needs: read keys, and browsers that are signed in with them."""

from alembic import op

from migrations.statements import statements

revision = "20261122T0045Z"
down_revision = "20261121T2218Z"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column, whose default makes write keys of all there are, and tables."""
    for statement in statements("tables/reading_v1.sql"):
        op.execute(statement)


def downgrade() -> None:
    """Refuse: the release before this one works with the schema as it is."""
    raise NotImplementedError("Nothing needs to be undone for an older release.")
