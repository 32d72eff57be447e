"""The committer of a database with several buckets: one bucket a transaction."""

from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import override

from app.pipeline.outcome import Entry, Outcome
from app.pipeline.record import Record
from app.store.shards.buckets import Buckets
from app.store.shards.claim import claim_in_bucket
from app.store.shards.settings import pass_settings_on
from app.store.write.committer import Committer


class BucketCommitter(Committer):
    """Commits the entries of each bucket by themselves, and rejected events apart.

    A transaction of one server commits by itself, and a server that is away affects
    only the entries of its buckets.
    """

    def __init__(
        self, engine: AsyncEngine, *, buckets: Buckets, **options: Any
    ) -> None:
        super().__init__(engine, **options)
        self._buckets = buckets

    @override
    async def commit(
        self, entries: list[Entry], *, waited_s: float = 0.0
    ) -> list[Outcome | None]:
        """Commit as `Committer` does, each bucket within a timeout of its own."""
        outcomes: list[Outcome | None] = [None] * len(entries)
        for bucket, places in self._buckets.divide(entries).items():
            if bucket is not None:
                self._bucket = bucket
            group = [entries[place] for place in places]
            found = await super().commit(group, waited_s=waited_s)
            for place, outcome in zip(places, found, strict=True):
                outcomes[place] = outcome
        return outcomes

    @override
    async def _claim(
        self, driver: asyncpg.Connection, records: list[Record]
    ) -> set[str]:
        if not records:
            return set()
        if driver.is_in_transaction():  # through a pooler
            await pass_settings_on(driver)
        return await claim_in_bucket(
            driver, self._bucket, records, import_id=self._import_id
        )


def committer_of(engine: AsyncEngine, buckets: Buckets, **options: Any) -> Committer:
    """The committer for a database with these buckets; options as for `Committer`."""
    if buckets.is_one:
        return Committer(engine, **options)
    return BucketCommitter(engine, buckets=buckets, **options)
