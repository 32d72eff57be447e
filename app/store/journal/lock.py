"""Ownership of a journal: a lock file next to its database."""

from contextlib import ExitStack, suppress
from pathlib import Path

from app.files import try_lock
from app.store.journal.sqlite import PARTS

ASIDE = ".damaged"


class JournalLock:
    """Ownership of the files of one journal, until it is given up or the process ends.

    Args:
        path: path of the database.

    Raises:
        BlockingIOError: another process owns the files.
        OSError: the files cannot be locked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = ExitStack()
        if self._held.enter_context(try_lock(_lock_of(path))) is None:
            self._held.close()
            raise BlockingIOError(f"{path.name} is owned")

    def set_aside(self) -> Path:
        """Rename the files so that no process reads them; returns the new path."""
        aside = self._path.with_name(self._path.name + ASIDE)
        for part in PARTS:
            with suppress(FileNotFoundError):
                Path(f"{self._path}{part}").rename(f"{aside}{part}")
        self.remove()
        return aside

    def remove(self) -> None:
        """Remove the files."""
        # The lock goes last, so that no other process can adopt a part of the files.
        for part in PARTS:
            Path(f"{self._path}{part}").unlink(missing_ok=True)
        _lock_of(self._path).unlink(missing_ok=True)
        self.give_up()

    def give_up(self) -> None:
        """Release the lock; another process may adopt the files."""
        self._held.close()


def is_owned(path: Path) -> bool:
    """Whether a running process owns the journal of this database."""
    with try_lock(_lock_of(path)) as lock:
        return lock is None


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")
