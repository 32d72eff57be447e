"""The tables, the views, and the function that makes the partitions."""

from alembic import op

from migrations.statements import execute_script

revision = "20261121T2140Z"
down_revision = None
branch_labels = None
depends_on = None

_FILES = (
    "tables/core_v1.sql",
    "views/signed_up_v1.sql",
    "views/account_added_user_v1.sql",
    "functions/rollcall_ensure_partitions_v2.sql",
)


def upgrade() -> None:
    """Build everything, in the one transaction that Alembic has begun."""
    for path in _FILES:
        execute_script(path)
    op.execute("SELECT rollcall_ensure_partitions()")


def downgrade() -> None:
    """Refuse: it would drop the events."""
    raise NotImplementedError("The first migration is not undone; drop the database.")
