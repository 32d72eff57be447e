"""${message}."""

from migrations.statements import execute_script

revision = "${up_revision}"
down_revision = ${"None" if down_revision is None else f'"{down_revision}"'}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Expand only: the release before this one must work with the new schema."""
    execute_script("views/....sql")


def downgrade() -> None:
    """Refuse: the release before this one works with the schema as it is."""
    raise NotImplementedError("Nothing needs to be undone for an older release.")
