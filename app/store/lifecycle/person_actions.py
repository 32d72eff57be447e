"""Actions of operators on one person, from the pages: find, export and erase.

Each runs in a thread with an event loop of its own: reading journals and comparing
rows takes long, and the worker's loop must go on receiving events.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any, TypeVar

from app.errors import DatabaseError, OperatorError
from app.pipeline.persons.person import Person
from app.request_errors import ForbiddenError, OverloadedError, UnavailableError
from app.store.journal.traces import JournalTraces, find_in_journals, wait_until_stored
from app.store.lifecycle.erasure import Erasure, erase_person, find_person
from app.store.lifecycle.person_export import MAX_MEMORY, collect_person
from app.store.operator.causes import sqlstate_of

T = TypeVar("T")

# An action reads all rows of both tables.
_TIMEOUT_S = 60.0
# An erasure may have been committed although its confirmation did not arrive.
_NO_RESPONSE = (
    "The database did not respond in time. Find the person again: an erasure either "
    "took place as a whole, with a row in the audit log, or changed nothing."
)
_TOO_LONG = (
    "This takes longer than a page may wait. Use `rollcall export --subject` or "
    "`rollcall erase`. An erasure on this page either took place as a whole, with a "
    "row in the audit log, or changed nothing."
)
_BUSY = (
    "This worker is exporting or erasing another person. Nothing was changed; try "
    "again in a minute."
)
_BUFFERED = (
    "A journal still holds events of the person. Nothing was changed; try again once "
    "`rollcall journal status` shows that the journals are empty."
)
_INSUFFICIENT_PRIVILEGE = "42501"
# The pages ask for the rights only until the role has them.
_RIGHTS_REVOKED = (
    "The database role of the service no longer has the rights of `rollcall_eraser`. "
    "Nothing was changed."
)


class PersonActions:
    """Finds, exports and erases persons, one at a time.

    Each method raises UnavailableError if the database does not respond in time,
    ForbiddenError if the database role has lost its rights, and
    OverloadedError if another action is running.

    Args:
        url: of the database.
        journals: directory of the journals of this machine.
        wait_s: time for the service to store its journals before an erasure.
    """

    def __init__(self, url: str, *, journals: Path, wait_s: float = 20.0) -> None:
        self._url = url
        self._journals = journals
        self._wait_s = wait_s
        self._lock = asyncio.Lock()

    async def find(self, person: Person) -> tuple[Erasure, JournalTraces]:
        """Find all rows and journal entries that concern the person."""

        async def work() -> tuple[Erasure, JournalTraces]:
            buffered = find_in_journals(self._journals, person)
            return await find_person(self._url, person), buffered

        return await self._run(work)

    async def export(self, person: Person, *, actor: str) -> IO[bytes]:
        """Return a file with all data of the person as NDJSON.

        Raises:
            OverloadedError: another action is running.
            UnavailableError: the database did not respond, or it takes too long.
        """
        with ExitStack() as stack:
            file = stack.enter_context(SpooledTemporaryFile(MAX_MEMORY))
            collect = partial(
                collect_person, journals=self._journals, actor=actor, lines=file
            )
            await self._run(partial(collect, self._url, person))
            stack.pop_all()
        return file

    async def erase(self, person: Person, *, redact: bool, actor: str) -> Erasure:
        """Erase the person for good, once the service has stored its journals.

        Raises:
            UnavailableError: a journal still holds events of the person, and nothing
                was changed; or the database did not respond in time, and the erasure
                either took place as a whole or not at all.
        """

        async def work() -> Erasure:
            waited = wait_until_stored(self._journals, person, within_s=self._wait_s)
            if await waited:
                raise UnavailableError(_BUFFERED)
            return await erase_person(self._url, person, redact=redact, actor=actor)

        return await self._run(work)

    async def _run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async def limited() -> T:
            async with asyncio.timeout(_TIMEOUT_S):
                return await work()

        if self._lock.locked():
            # It would hold one of the few slots of pages for minutes.
            raise OverloadedError(_BUSY)
        async with self._lock:
            try:
                return await asyncio.to_thread(asyncio.run, limited())
            except TimeoutError:
                raise UnavailableError(_TOO_LONG) from None
            except DatabaseError as error:
                if sqlstate_of(error.__cause__ or error) == _INSUFFICIENT_PRIVILEGE:
                    raise ForbiddenError(_RIGHTS_REVOKED) from None
                raise UnavailableError(_NO_RESPONSE) from None
            except OperatorError as error:
                raise UnavailableError(error.detail) from None
