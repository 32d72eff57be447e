"""Retention: leases, and a function that deletes old events."""

from migrations.statements import execute_script

revision = "20261127T2030Z"
down_revision = "20261127T2005Z"
branch_labels = None
depends_on = None

_FILES = ("tables/retention_v1.sql", "functions/rollcall_expire_events_v1.sql")


def upgrade() -> None:
    """Add the table and the function."""
    for path in _FILES:
        execute_script(path)


def downgrade() -> None:
    """Refuse: the release before this one works with the schema as it is."""
    raise NotImplementedError("Nothing needs to be undone for an older release.")
