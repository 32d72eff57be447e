"""`rollcall import --undo`."""

from uuid import UUID

import typer

from app.cli.configuration import read_settings
from app.cli.database import echo_err, open_checked
from app.store.lifecycle.audit import command_actor
from app.store.write import undo
from app.store.write.undo import ImportContent


def undo_import(import_id: UUID, *, ask: bool) -> None:
    """Delete the events of an import, and print the consequences.

    Raises:
        EventNotFoundError: nothing of it is there.
    """
    deleted: list[ImportContent] = []
    with open_checked(read_settings()) as database:
        found = database.transact(undo.count_import, import_id=import_id)
        if ask:
            typer.confirm(
                f"Delete {found.events} events and {found.rejected} rejected events?",
                abort=True,
                err=True,
            )
        try:
            database.run(
                undo.undo_import,
                import_id=import_id,
                actor=command_actor(),
                report=deleted.append,
            )
        finally:
            events = sum(each.events for each in deleted)
            rejected = sum(each.rejected for each in deleted)
            echo_err(f"{events} events and {rejected} rejected events deleted.")
    if events:
        echo_err(
            "Events that senders sent again since the import and that were answered "
            "`duplicate` are gone with them."
        )
