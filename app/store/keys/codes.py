"""The first keys of a new installation, and codes that sign a browser in."""

import secrets
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.keys.keys import create_key, hash_key
from app.store.keys.lookups import find_reader, find_source

CODE_LIFE = timedelta(hours=1)
_RANDOM_BYTES = 32

_ADD_CODE = text("""
INSERT INTO sign_in_codes (code_hash, key_id, expires_at)
SELECT :code_hash, id, now() + :life FROM write_keys WHERE key_hash = :key_hash
""")


async def create_code(connection: AsyncConnection, *, key: str) -> str:
    """Make a code that stands for a read key, once and within the hour."""
    code = secrets.token_urlsafe(_RANDOM_BYTES)
    await connection.execute(
        _ADD_CODE,
        {
            "code_hash": hash_key(code.encode()),
            "key_hash": hash_key(key.encode()),
            "life": CODE_LIFE,
        },
    )
    return code


class StartingKeys(NamedTuple):
    """The first keys of a new installation; the code stands for the read key."""

    write: str
    read: str
    code: str


async def starting_keys(
    connection: AsyncConnection, *, source: str, write: str, read: str
) -> StartingKeys:
    """The same keys where they are live, else new ones of the source; and a code."""
    if not await find_source(connection, key_hash=hash_key(write.encode())):
        write = await create_key(connection, source=source)
    if not await find_reader(connection, key_hash=hash_key(read.encode())):
        read = await create_key(connection, source=source, scope="read")
    return StartingKeys(write, read, await create_code(connection, key=read))
