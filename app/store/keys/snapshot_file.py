"""Snapshot of the live keys in the data directory, for outages of Postgres.

It holds hashes of keys, never a key. Keys are read from Postgres and written under one
lock, so that an older list never replaces a newer one and a revoked key stays revoked.
"""

import asyncio
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Double, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.files import replace_file, try_lock
from app.store.keys.lookups import is_live
from app.store.tables import write_keys

log = logging.getLogger(__name__)

KEYS_FILE = "keys.json"
_PATIENCE_S = 3.0
_PAUSE_S = 0.05
_LIVE = (
    select(
        write_keys.c.key_hash,
        write_keys.c.source,
        write_keys.c.scope,
        cast(func.extract("epoch", write_keys.c.expires_at), Double),
    )
    .where(is_live())
    .order_by(write_keys.c.key_hash)
)


@dataclass(frozen=True, slots=True)
class LiveKey:
    """A key that is neither revoked nor expired.

    Attributes:
        key_hash: SHA-256 of the key.
        expires_at: Unix time at which it stops working; None if it never does.
    """

    key_hash: Annotated[bytes, Field(alias="hash")]
    source: str
    scope: str
    # Absent in files of the release before.
    expires_at: float | None = None

    @property
    def is_expired(self) -> bool:
        """Whether the key stopped working since it was read from Postgres."""
        return self.expires_at is not None and self.expires_at <= time.time()


class _Snapshot(BaseModel):
    """The content of the file. Another release may write further members."""

    model_config = ConfigDict(
        val_json_bytes="hex", ser_json_bytes="hex", hide_input_in_errors=True
    )

    keys: list[LiveKey]


async def live_keys(connection: AsyncConnection) -> list[LiveKey]:
    """Return all live keys, in the caller's transaction."""
    return [LiveKey(*row) for row in await connection.execute(_LIVE)]


class KeySnapshotFile:
    """Snapshot file, shared by all processes with one data directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / KEYS_FILE
        self._lock = self._path.with_suffix(".lock")

    @contextmanager
    def try_lock(self) -> Iterator[bool]:
        """Hold the lock if it is free; yield whether this process holds it.

        Raises:
            OSError: the lock file cannot be created.
        """
        with try_lock(self._lock) as lock:
            yield lock is not None

    @property
    def asked_at(self) -> float:
        """When the keys of the file were last asked for; -inf if that is unknown."""
        try:
            return float(self._lock.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return -math.inf

    @asked_at.setter
    def asked_at(self, seconds: float) -> None:
        """Note, holding the lock, when they were asked for on the monotonic clock."""
        self._lock.write_text(repr(seconds), encoding="ascii")

    def read(self) -> list[LiveKey] | None:
        """Return the keys of the file, if it exists; None if it is unreadable."""
        try:
            return _Snapshot.model_validate_json(self._path.read_bytes()).keys
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            log.warning("the file of keys cannot be read: %s", error)
            return None

    def write(self, keys: list[LiveKey]) -> None:
        """Atomically replace the file's content if it differs.

        The caller must hold the lock.

        Raises:
            OSError: the file cannot be written; it is deleted if it may list a key
                that has been revoked.
        """
        held = self.read()
        if keys == held and self._path.exists():
            return
        try:
            text = _Snapshot(keys=keys).model_dump_json(by_alias=True)
            replace_file(self._path, text.encode())
        except OSError:
            if held is None or not set(held) <= set(keys):
                self._path.unlink(missing_ok=True)
            raise


async def publish_keys(connection: AsyncConnection, *, file: KeySnapshotFile) -> bool:
    """Write the live keys of the database to the file; returns whether it succeeded.

    Call it at READ COMMITTED, after the commit of a change.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        with suppress(OSError), file.try_lock() as is_ours:
            if is_ours:
                file.write(await live_keys(connection))
                return True
        await asyncio.sleep(_PAUSE_S)  # another process holds the lock
    return False
