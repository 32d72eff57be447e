"""A running service with keys, as the browser's tests have it."""

import asyncio
from dataclasses import dataclass
from typing import Any

from tests.support.postgres.database import Database
from tests.support.service.process import Service


@dataclass(frozen=True, slots=True)
class Site:
    """A running service.

    Attributes:
        service: its process.
        database: its database; a test reads it by `rows`.
        write_key: of the source `shop`.
        read_key: of the source `desk`.
    """

    service: Service
    database: Database
    write_key: str
    read_key: str

    @property
    def address(self) -> str:
        return self.service.address

    async def rows(self, statement: str, **parameters: object) -> list[Any]:
        """Rows of a query, read in another thread than the event loop."""
        return await asyncio.to_thread(self.database.rows, statement, **parameters)
