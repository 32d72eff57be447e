"""The function that makes partitions leaves a detached week alone."""

from migrations.statements import execute_script

revision = "20261127T2110Z"
down_revision = "20261127T2058Z"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace the function, and give partitions the comments of their parent."""
    execute_script("functions/rollcall_ensure_partitions_v2.sql")
    execute_script("tables/partition_comments_v1.sql")


def downgrade() -> None:
    """Refuse: the release before this one works with the schema as it is."""
    raise NotImplementedError("Nothing needs to be undone for an older release.")
