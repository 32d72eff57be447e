"""A connection that freezes or breaks holds nobody, and doubles and tears nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.outcome import Entry, Outcome
from app.store.write.insert import DUPLICATE, STORED
from tests.support.limits import PATIENCE_S
from tests.support.postgres.patient import patient_engine
from tests.support.postgres.proxy import Act, Proxy
from tests.support.store.entries import commit, counts, record, rejection
from tests.support.store.sabotage import run

POOL_SIZE = 3
TIMEOUT_S = 0.2
# Without the limit under test, nothing would end a wait before the engine's own.
GRACE_S = PATIENCE_S / 3


@pytest.fixture
async def service(proxy: Proxy) -> AsyncIterator[AsyncEngine]:
    """The service's engine, behind the proxy."""
    engine = patient_engine(proxy.url, pool_size=POOL_SIZE)
    yield engine
    await engine.dispose()


async def commit_one(engine: AsyncEngine, user_id: str) -> Outcome | None:
    """The outcome of one event, when there is time."""
    [outcome] = await commit(engine, record(user_id=user_id), timeout_s=PATIENCE_S)
    return outcome


async def assert_given_up(
    engine: AsyncEngine, *user_ids: str, beside: Sequence[Entry] = ()
) -> None:
    """No outcome is claimed, soon after the time limit."""
    entries = [*beside, *(record(user_id=user_id) for user_id in user_ids)]
    async with asyncio.timeout(TIMEOUT_S + GRACE_S):
        outcomes = await commit(engine, *entries, timeout_s=TIMEOUT_S)
    assert outcomes == [None] * len(entries)


async def assert_all_connections_serve(engine: AsyncEngine) -> None:
    """As many at once as the pool may have; none is stuck, and none is broken."""
    meeting = asyncio.Barrier(POOL_SIZE)

    async def use_one() -> object:
        async with engine.connect() as connection:
            async with asyncio.timeout(PATIENCE_S):
                await meeting.wait()
            return await connection.scalar(text("SELECT 1"))

    assert await asyncio.gather(*(use_one() for _ in range(POOL_SIZE))) == [1] * 3


def spring(proxy: Proxy, when: str, words: bytes, act: Act) -> None:
    {"before": proxy.before, "after": proxy.after}[when](words, act)


# Messages to Postgres that commit the event of user-9 and a rejection.
WORDS = [b"BEGIN", b"user-9", b"COMMIT"]


@pytest.mark.parametrize(
    ("words", "beside"),
    [(b"rollcall", []), (b"user-9", []), *((words, [rejection()]) for words in WORDS)],
)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_frozen_postgres_delays_no_request_beyond_its_deadline(  # noqa: PLR0913 - fixtures and cases
    proxy: Proxy,
    service: AsyncEngine,
    engine: AsyncEngine,
    *,
    words: bytes,
    beside: list[Entry],
    when: str,
) -> None:
    login = words == b"rollcall"
    if not login:
        assert await commit_one(service, "user-1") == STORED
    spring(proxy, when, words, proxy.freeze)

    await assert_given_up(service, "user-9", beside=beside)
    await assert_given_up(service, "user-8")

    proxy.thaw()
    assert await commit_one(service, "user-9") in {STORED, DUPLICATE}
    assert await commit_one(service, "user-8") == STORED
    await assert_all_connections_serve(service)
    expected = 2 if login else 3
    assert (await counts(engine))[:2] == (expected, expected)


async def test_freeze_during_isolation_delays_no_request_beyond_its_deadline(
    proxy: Proxy, service: AsyncEngine, engine: AsyncEngine
) -> None:
    await run(engine, "ALTER TABLE events ADD CHECK (user_id <> 'user-0')")
    # The first commit keeps the poison; the other 15 still wait for theirs.
    proxy.before(b"COMMIT", proxy.freeze)

    await assert_given_up(service, *(f"user-{number}" for number in range(16)))
    assert await counts(engine) == (0, 0, 0)


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_lost_connection_is_retried_without_duplicates(
    proxy: Proxy, service: AsyncEngine, engine: AsyncEngine, words: bytes, when: str
) -> None:
    spring(proxy, when, words, proxy.cut)

    outcomes = await commit(
        service, record(user_id="user-9"), rejection(), timeout_s=PATIENCE_S
    )

    committed = (words, when) == (b"COMMIT", "after")
    assert outcomes[0] == (DUPLICATE if committed else STORED)
    assert outcomes[1] is not None
    assert (outcomes[1].status, outcomes[1].kept) == ("rejected", True)
    assert await counts(engine) == (1, 1, 1)
    await assert_all_connections_serve(service)


async def test_repeatedly_lost_connection_is_given_up_in_time(
    proxy: Proxy, service: AsyncEngine, engine: AsyncEngine
) -> None:
    def cut_again() -> None:
        proxy.before(b"COMMIT", cut_again)
        proxy.cut()

    cut_again()

    await assert_given_up(service, "user-9", beside=[rejection()])
    assert await counts(engine) == (0, 0, 0)


async def test_slow_postgres_is_awaited_until_the_deadline(
    proxy: Proxy, service: AsyncEngine
) -> None:
    proxy.delay_s = 0.01
    assert await commit_one(service, "user-9") == STORED
    proxy.delay_s = TIMEOUT_S
    await assert_given_up(service, "user-8")
    proxy.delay_s = 0
    assert await commit_one(service, "user-7") == STORED
    await assert_all_connections_serve(service)
