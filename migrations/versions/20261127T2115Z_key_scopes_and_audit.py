"""Scopes, expiry, note and last use of keys; the audit log."""

from migrations.statements import execute_script

revision = "20261127T2115Z"
down_revision = "20261127T2110Z"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns and a table, which no older release reads."""
    execute_script("tables/key_scopes_v1.sql")
    execute_script("tables/audit_log_v1.sql")
    execute_script("functions/rollcall_expire_audit_v1.sql")


def downgrade() -> None:
    """Refuse: the release before this one works with the schema as it is."""
    raise NotImplementedError("Nothing needs to be undone for an older release.")
