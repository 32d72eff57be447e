"""One source at a service that is shared: it sees nothing but its own."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.postgres.database import Database
from tests.support.service.process import Service


@dataclass(frozen=True, slots=True)
class Tenant:
    """A source, its key, and a client that sends JSON with it."""

    service: Service
    database: Database
    source: str
    key: str
    client: httpx.Client

    def post(self, body: bytes, path: str = "/track") -> httpx.Response:
        return self.client.post(path, content=body)

    def rows(self, statement: str) -> list[Any]:
        """Rows of its own: the statement says `WHERE source = :source`."""
        return self.database.rows(statement, source=self.source)
