"""Whose a journal is: of whoever holds the lock beside its database."""

from contextlib import ExitStack, suppress
from pathlib import Path

from app.files import try_lock
from app.store.journal.sqlite import PARTS

ASIDE = ".damaged"


class JournalLock:
    """Owns the files of one journal, until it gives them up or the process ends.

    Args:
        path: of the database.

    Raises:
        BlockingIOError: another process owns them.
        OSError: they cannot be locked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = ExitStack()
        if self._held.enter_context(try_lock(_lock_of(path))) is None:
            self._held.close()
            raise BlockingIOError(f"{path.name} is owned")

    def set_aside(self) -> Path:
        """Keep the files under a name that nobody reads; returns it."""
        aside = self._path.with_name(self._path.name + ASIDE)
        for part in PARTS:
            with suppress(FileNotFoundError):
                Path(f"{self._path}{part}").rename(f"{aside}{part}")
        self.remove()
        return aside

    def remove(self) -> None:
        """Remove the files."""
        # The lock last: until then nobody else can believe to own what is left.
        for part in PARTS:
            Path(f"{self._path}{part}").unlink(missing_ok=True)
        _lock_of(self._path).unlink(missing_ok=True)
        self.give_up()

    def give_up(self) -> None:
        """Leave the files to whoever adopts them."""
        self._held.close()


def is_owned(path: Path) -> bool:
    """Whether a process owns the journal with this database."""
    with try_lock(_lock_of(path)) as lock:
        return lock is None


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")
