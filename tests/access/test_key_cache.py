import asyncio
import hashlib
from collections import Counter

import pytest

from app.access.key_cache import (
    MAX_ENTRIES,
    MAX_WAITING,
    UNKNOWN_TRUST_S,
    KeyCache,
    _cached_digest,
)
from app.request_errors import OverloadedError, UnavailableError

TRUST_S = 4.0


class Clock:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Table:
    """The table of keys: counts questions, and answers them while it is open."""

    def __init__(self) -> None:
        self.sources: dict[bytes, str] = {}
        self.asked: Counter[bytes] = Counter()
        self.at_once = 0
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None

    def add(self, key: bytes, source: str) -> None:
        self.sources[hashlib.sha256(key).digest()] = source

    def revoke(self, key: bytes) -> None:
        del self.sources[hashlib.sha256(key).digest()]

    def times_asked(self, key: bytes) -> int:
        return self.asked[hashlib.sha256(key).digest()]

    async def fetch(self, digest: bytes) -> str | None:
        self.asked[digest] += 1
        self.at_once += 1
        try:
            await self.open.wait()
        finally:
            self.at_once -= 1
        if self.error is not None:
            raise self.error
        return self.sources.get(digest)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table() -> Table:
    table = Table()
    table.add(b"rc_known", "billing")
    return table


@pytest.fixture
def key_cache(table: Table, clock: Clock) -> KeyCache[str]:
    return KeyCache(table.fetch, trust_s=TRUST_S, clock=clock)


async def ticks() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_known_key_is_trusted_for_a_limited_time(
    key_cache: KeyCache[str], table: Table, clock: Clock
) -> None:
    assert await key_cache.source_of(b"rc_known") == "billing"
    clock.now += TRUST_S - 0.001
    assert await key_cache.source_of(b"rc_known") == "billing"
    assert table.times_asked(b"rc_known") == 1
    clock.now += 0.001
    assert await key_cache.source_of(b"rc_known") == "billing"
    assert table.times_asked(b"rc_known") == 2


async def test_revoked_key_dies_when_its_trust_ends(
    key_cache: KeyCache[str], table: Table, clock: Clock
) -> None:
    assert await key_cache.source_of(b"rc_known") == "billing"
    table.revoke(b"rc_known")
    clock.now += TRUST_S
    assert await key_cache.source_of(b"rc_known") is None
    clock.now += 0.001
    assert await key_cache.source_of(b"rc_known") is None


async def test_trust_counts_from_the_query_not_from_its_result(
    key_cache: KeyCache[str], table: Table, clock: Clock
) -> None:
    table.open.clear()
    waiting = asyncio.create_task(key_cache.source_of(b"rc_known"))
    await ticks()
    clock.now += TRUST_S
    table.open.set()
    assert await waiting == "billing"

    table.revoke(b"rc_known")
    assert await key_cache.source_of(b"rc_known") is None


async def test_unknown_key_is_asked_for_once_a_second(
    key_cache: KeyCache[str], table: Table, clock: Clock
) -> None:
    assert await key_cache.source_of(b"rc_new") is None
    table.add(b"rc_new", "crm")
    clock.now += UNKNOWN_TRUST_S - 0.001
    assert await key_cache.source_of(b"rc_new") is None
    assert table.times_asked(b"rc_new") == 1
    clock.now += 0.001
    assert await key_cache.source_of(b"rc_new") == "crm"


async def test_key_that_was_never_asked_for_works_at_once(
    key_cache: KeyCache[str], table: Table
) -> None:
    assert await key_cache.source_of(b"rc_known") == "billing"
    table.add(b"rc_new", "crm")
    assert await key_cache.source_of(b"rc_new") == "crm"


async def test_many_who_ask_for_one_key_ask_once(
    key_cache: KeyCache[str], table: Table
) -> None:
    table.open.clear()
    waiting = [asyncio.create_task(key_cache.source_of(b"rc_known")) for _ in range(50)]
    await ticks()
    table.open.set()

    assert await asyncio.gather(*waiting) == ["billing"] * 50
    assert table.times_asked(b"rc_known") == 1


async def test_look_ups_run_one_at_a_time(
    key_cache: KeyCache[str], table: Table
) -> None:
    table.open.clear()
    waiting = [asyncio.create_task(key_cache.source_of(b"%d" % n)) for n in range(50)]
    await ticks()
    assert table.at_once == 1
    table.open.set()

    assert await asyncio.gather(*waiting) == [None] * 50
    assert table.asked.total() == 50


async def test_caller_that_leaves_does_not_end_the_look_up_of_others(
    key_cache: KeyCache[str], table: Table
) -> None:
    table.open.clear()
    first = asyncio.create_task(key_cache.source_of(b"rc_known"))
    await ticks()
    second = asyncio.create_task(key_cache.source_of(b"rc_known"))
    await ticks()
    first.cancel()
    await ticks()
    table.open.set()

    assert await second == "billing"
    assert first.cancelled()
    assert table.times_asked(b"rc_known") == 1


async def test_failed_look_up_fails_all_waiters_and_is_not_cached(
    key_cache: KeyCache[str], table: Table
) -> None:
    table.error = UnavailableError("The database is away.")
    failed = await asyncio.gather(
        *(key_cache.source_of(b"rc_known") for _ in range(3)), return_exceptions=True
    )
    assert failed == [table.error] * 3

    table.error = None
    assert await key_cache.source_of(b"rc_known") == "billing"


async def test_flood_of_unknown_keys_evicts_no_known_key(
    key_cache: KeyCache[str], table: Table
) -> None:
    await key_cache.source_of(b"rc_known")
    for number in range(MAX_ENTRIES + 1):
        await key_cache.source_of(b"%d" % number)
    await key_cache.source_of(b"rc_known")
    assert table.times_asked(b"rc_known") == 1

    await key_cache.source_of(b"1")
    assert table.times_asked(b"1") == 1, "forgotten too early"
    await key_cache.source_of(b"0")
    assert table.times_asked(b"0") == 2, "the oldest is kept"


def test_digest_of_a_long_key_is_not_kept(key_cache: KeyCache[str]) -> None:
    before = _cached_digest.cache_info().currsize
    for number in range(10):
        assert key_cache.get_cached(b"%d" % number * 1_000) is None
    assert _cached_digest.cache_info().currsize == before


async def test_known_keys_are_as_bounded(
    key_cache: KeyCache[str], table: Table
) -> None:
    for number in range(MAX_ENTRIES + 1):
        table.add(b"%d" % number, "source")
        await key_cache.source_of(b"%d" % number)

    await key_cache.source_of(b"1")
    assert table.times_asked(b"1") == 1
    await key_cache.source_of(b"0")
    assert table.times_asked(b"0") == 2


async def test_renewed_key_counts_as_new(
    key_cache: KeyCache[str], table: Table, clock: Clock
) -> None:
    await key_cache.source_of(b"rc_known")
    clock.now += TRUST_S
    table.add(b"other", "source")
    await key_cache.source_of(b"other")
    await key_cache.source_of(b"rc_known")
    for number in range(MAX_ENTRIES - 1):
        table.add(b"%d" % number, "source")
        await key_cache.source_of(b"%d" % number)

    await key_cache.source_of(b"rc_known")
    assert table.times_asked(b"rc_known") == 2
    await key_cache.source_of(b"other")
    assert table.times_asked(b"other") == 2


async def test_flood_waits_in_a_bounded_queue_that_known_keys_can_join(
    key_cache: KeyCache[str], table: Table, clock: Clock
) -> None:
    await key_cache.source_of(b"rc_known")
    clock.now += TRUST_S
    table.open.clear()
    flood = [
        asyncio.create_task(key_cache.source_of(b"%d" % number))
        for number in range(MAX_WAITING)
    ]
    await ticks()

    with pytest.raises(OverloadedError):
        await key_cache.source_of(b"one more")
    due_again = asyncio.create_task(key_cache.source_of(b"rc_known"))
    await ticks()
    table.open.set()
    assert await due_again == "billing"
    assert await asyncio.gather(*flood) == [None] * MAX_WAITING
    assert await key_cache.source_of(b"one more") is None


async def test_key_that_was_known_goes_before_keys_that_never_were(
    key_cache: KeyCache[str], table: Table, clock: Clock
) -> None:
    table.add(b"rc_known", "billing")
    await key_cache.source_of(b"rc_known")
    clock.now += TRUST_S
    assert key_cache.knows(b"rc_known")
    assert not key_cache.knows(b"rc_0")
    table.open.clear()
    order: list[bytes] = []

    async def ask(key: bytes) -> None:
        await key_cache.source_of(key)
        order.append(key)

    asking = [asyncio.create_task(ask(b"rc_%d" % number)) for number in range(5)]
    await asyncio.sleep(0)
    asking.append(asyncio.create_task(ask(b"rc_known")))
    await asyncio.sleep(0)
    table.open.set()
    await asyncio.gather(*asking)

    assert order[1] == b"rc_known"


async def test_last_known_finds_a_key_of_an_old_list_during_an_outage() -> None:
    async def away(_: bytes) -> str:
        raise UnavailableError("The database does not respond.")

    def known(digest: bytes, /, *, stale: bool = False) -> str | None:
        is_listed = digest == hashlib.sha256(b"rc_listed").digest()
        return "prometheus" if stale and is_listed else None

    key_cache = KeyCache(away, trust_s=4, known=known)
    assert key_cache.get_cached(b"rc_listed") is None
    assert key_cache.last_known(b"rc_listed") == "prometheus"
    assert key_cache.last_known(b"rc_other") is None
