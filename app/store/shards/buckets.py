"""Buckets: the numbers that events are divided into, by user.

A single server has one bucket, 0. On Citus `rollcall distribute` makes one for each
shard, for ever: with other numbers, ids that are stored would go to other shards and be
stored again.
"""

from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.pipeline.outcome import Entry
from app.pipeline.record import Record
from app.store.tables import buckets

_READ = select(buckets.c.bucket).order_by(buckets.c.bucket)
_REACH = text("SELECT id FROM event_ids WHERE bucket = :bucket LIMIT 1")


class Buckets(NamedTuple):
    """The numbers of the buckets of one database, ascending; one on a single server."""

    numbers: tuple[int, ...] = (0,)

    @property
    def is_one(self) -> bool:
        """Whether events are not divided."""
        return len(self.numbers) == 1

    def of(self, user_id: str) -> int:
        """The bucket of a user, given the user id as it is stored."""
        place = crc32(user_id.encode(errors="surrogatepass")) % len(self.numbers)
        return self.numbers[place]

    def divide(self, entries: Sequence[Entry]) -> dict[int | None, list[int]]:
        """The places of the entries of each bucket; None for rejected events."""
        places: dict[int | None, list[int]] = {}
        for place, entry in enumerate(entries):
            bucket = self.of(entry.user_id) if isinstance(entry, Record) else None
            places.setdefault(bucket, []).append(place)
        return places


ONE_BUCKET = Buckets()


async def read_buckets(connection: AsyncConnection) -> Buckets:
    """Read the buckets of the database, which never change once events are stored."""
    return Buckets(tuple((await connection.scalars(_READ)).all()))


async def reach_bucket(connection: AsyncConnection, bucket: int) -> None:
    """Read from the server of a bucket; raises a database error if it is away."""
    await connection.execute(_REACH, {"bucket": bucket})
