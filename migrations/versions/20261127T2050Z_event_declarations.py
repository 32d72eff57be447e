"""Table of declared events, and the function by which views read timestamps."""

from migrations.statements import execute_script

revision = "20261127T2050Z"
down_revision = "20261127T2045Z"
branch_labels = None
depends_on = None

_FILES = (
    "tables/event_declarations_v1.sql",
    "functions/rollcall_timestamp_v1.sql",
)


def upgrade() -> None:
    """Add both, which no older release uses."""
    for path in _FILES:
        execute_script(path)


def downgrade() -> None:
    """Refuse: the release before this one works with the schema as it is."""
    raise NotImplementedError("Nothing needs to be undone for an older release.")
