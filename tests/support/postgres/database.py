"""The stored side, asked in SQL by tests that are no coroutines."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.keys.keys import create_key, hash_key, key_id
from app.store.operator_session import in_operator_transaction
from tests.conftest import Admin


def id_of(key: str) -> str:
    """The public id of a key."""
    return key_id(hash_key(key.encode()))


@dataclass(frozen=True, slots=True)
class Database:
    """A database at the newest revision."""

    url: str
    admin: Admin

    def rows(self, statement: str, **parameters: object) -> list[Any]:
        async def ask(connection: AsyncConnection) -> list[Any]:
            result = await connection.execute(text(statement), parameters)
            return list(result)

        return self.admin.runner.run(in_operator_transaction(self.url, ask))

    def scalar(self, statement: str, **parameters: object) -> Any:
        [[value]] = self.rows(statement, **parameters)
        return value

    def key(self, source: str = "billing-backend", *, scope: str = "write") -> str:
        """A new key."""
        make = partial(create_key, source=source, scope=scope)
        return self.admin.runner.run(in_operator_transaction(self.url, make))


@contextmanager
def new_database(admin: Admin, template_url: str) -> Iterator[Database]:
    """One like the template, for as long as the context lasts."""
    with admin.database(template=make_url(template_url).database) as url:
        yield Database(url, admin)
