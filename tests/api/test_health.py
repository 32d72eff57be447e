import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI
from typing_extensions import override

from app.api.health import Readiness, Ready, RecalledReadiness, health_routes
from app.errors import SchemaError
from app.request_errors import UnavailableError
from app.store.write.writer import Refusal
from tests.support.eventually import eventually
from tests.support.limits import PATIENCE_S


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Check:
    """The database as a probe sees it."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None
        self.keys = 1
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self) -> None:
        self.asked += 1
        await self.open.wait()
        if self.error is not None:
            raise self.error

    async def has_write_keys(self) -> bool:
        return self.keys > 0


@pytest.fixture
def check() -> Check:
    return Check()


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Writer:
    """Holds the last refusal."""

    refusal: Refusal | None = None


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def readiness(check: Check, clock: Clock, writer: Writer) -> Readiness:
    return readiness_of(check, clock, writer)


@pytest.fixture
def impatient(check: Check, clock: Clock, writer: Writer) -> Readiness:
    return readiness_of(check, clock, writer, wait_s=0.01)


def readiness_of(
    check: Check, clock: Clock, writer: Writer, *, wait_s: float = PATIENCE_S
) -> Readiness:
    return Readiness(
        check,
        has_write_keys=check.has_write_keys,
        lookup_s=10,
        commit_s=20,
        refusal=lambda: writer.refusal,
        clock=clock,
        wait_s=wait_s,
    )


@pytest.mark.parametrize(
    "error", [UnavailableError("", reason="The reason"), SchemaError("The reason.")]
)
async def test_result_of_the_check_is_reported_for_a_limited_time(
    readiness: Readiness, check: Check, clock: Clock, error: Exception
) -> None:
    await readiness.ask()
    clock.now += 1
    check.error = error
    with pytest.raises(UnavailableError, match="The reason"):
        await readiness.ask()
    clock.now += 1
    check.error = None
    await readiness.ask()


async def test_readyz_without_keys_says_so(readiness: Readiness, check: Check) -> None:
    check.keys = 0
    ready = await readiness.ask()
    assert (ready.events, ready.reason) == ("stored", "no keys yet")


async def test_readyz_names_the_cause_and_its_first_time(
    readiness: Readiness, check: Check, clock: Clock
) -> None:
    check.error = UnavailableError("Not sent to clients.", reason="password refused")
    details = set()
    for _ in range(2):
        with pytest.raises(UnavailableError, match=r"since 20.*Z: password") as caught:
            await readiness.ask()
        details.add(caught.value.detail)
        clock.now += 1
    assert len(details) == 1


async def test_response_is_shared_by_requests_within_half_a_second(
    readiness: Readiness, check: Check, clock: Clock
) -> None:
    check.error = UnavailableError("The reason.")
    for _ in range(5):
        with pytest.raises(UnavailableError):
            await readiness.ask()
    assert check.asked == 1
    clock.now += 0.6
    with pytest.raises(UnavailableError):
        await readiness.ask()
    assert check.asked == 2


async def test_many_who_ask_at_once_ask_once(
    readiness: Readiness, check: Check
) -> None:
    check.open.clear()
    asking = [asyncio.create_task(readiness.ask()) for _ in range(10)]
    await asyncio.sleep(0)
    check.open.set()
    await asyncio.gather(*asking)

    assert check.asked == 1


async def test_frozen_database_is_ready_until_an_event_can_have_been_refused(
    impatient: Readiness, check: Check, clock: Clock
) -> None:
    impatient.confirm()
    check.open.clear()
    clock.now += 9
    assert (await impatient.ask()).events == "stored"
    clock.now += 2
    for _ in range(2):
        with pytest.raises(UnavailableError, match="no answer in time"):
            await impatient.ask()
    assert check.asked == 1

    async def is_ready() -> bool:
        with suppress(UnavailableError):
            return (await impatient.ask()).events == "stored"
        return False

    check.open.set()
    await eventually(is_ready)


async def test_frozen_database_without_an_earlier_check_is_not_ready(
    impatient: Readiness, check: Check
) -> None:
    check.open.clear()
    with pytest.raises(UnavailableError, match="no answer in time"):
        await impatient.ask()
    await impatient.stop()


async def test_refused_commit_is_not_ready_until_one_succeeds_or_time_passes(
    readiness: Readiness, check: Check, clock: Clock, writer: Writer
) -> None:
    writer.refusal = Refusal(clock.now, "lock")
    clock.now += 39
    with pytest.raises(UnavailableError, match=r"since 20.*: lock\."):
        await readiness.ask()
    assert check.asked == 0
    clock.now += 2
    await readiness.ask()

    writer.refusal = Refusal(clock.now, "lock")
    with pytest.raises(UnavailableError, match="lock"):
        await readiness.ask()
    writer.refusal = None
    await readiness.ask()


async def test_cancelled_check_is_not_ready(readiness: Readiness, check: Check) -> None:
    check.open.clear()
    asking = asyncio.create_task(readiness.ask())
    await asyncio.sleep(0)
    await readiness.stop()
    with pytest.raises(UnavailableError, match="ending"):
        await asking

    check.open.set()
    check.error = UnavailableError("The reason.")
    with pytest.raises(UnavailableError):
        await readiness.ask()


async def test_failed_check_is_not_ready(readiness: Readiness, check: Check) -> None:
    check.error = LookupError("a defect")
    for _ in range(2):
        with pytest.raises(LookupError):
            await readiness.ask()


async def test_outcome_is_recalled_for_a_limited_time(
    readiness: Readiness, check: Check, clock: Clock
) -> None:
    assert readiness.recall() is None
    check.keys = 0
    asked = await readiness.ask()
    assert readiness.recall() == asked
    assert check.asked == 1
    clock.now += 0.6
    assert readiness.recall() is None


async def test_outcome_is_not_recalled_while_events_are_refused(
    readiness: Readiness, check: Check, clock: Clock, writer: Writer
) -> None:
    await readiness.ask()
    writer.refusal = Refusal(clock.now, "lock")
    assert readiness.recall() is None
    writer.refusal = None
    assert readiness.recall() is not None

    clock.now += 1
    check.error = UnavailableError("The reason.")
    with pytest.raises(UnavailableError):
        await readiness.ask()
    assert readiness.recall() is None


class Outcome(Readiness):
    """Knows the outcome of an event without a check."""

    def __init__(self, outcome: Ready) -> None:
        self.outcome = outcome
        self.asked = 0

    @override
    async def ask(self) -> Ready:
        self.asked += 1
        return self.outcome

    @override
    def recall(self) -> Ready | None:
        return self.outcome


OUTCOMES = [
    Ready(events="stored"),
    Ready(events="stored", reason="no keys yet"),
    Ready(events="buffered", reason='a "b" \u00e9', since=datetime.now(UTC)),
    Ready(events="buffered", reason="c", since=datetime(2026, 1, 2, tzinfo=UTC)),
]


def client_of(outcome: Outcome) -> tuple[httpx.AsyncClient, httpx.AsyncClient]:
    """Clients of the app with and without its memory of the outcome."""
    app = FastAPI()
    app.include_router(health_routes(outcome, declarations="d"))
    recalled = RecalledReadiness(app, outcome, declarations="d")
    with_memory, without = (
        httpx.AsyncClient(transport=httpx.ASGITransport(each), base_url="http://r")
        for each in (recalled, app)
    )
    return with_memory, without


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_recalled_response_equals_the_one_of_the_route(
    outcome: Ready, method: str
) -> None:
    state = Outcome(outcome)
    client, of_route = client_of(state)
    async with client, of_route:
        recalled = await client.request(method, "/readyz?a=b")
        assert state.asked == 0
        routed = await of_route.request(method, "/readyz?a=b")
        assert state.asked == 1
    assert recalled.status_code == routed.status_code == 200
    assert recalled.headers.raw == routed.headers.raw
    assert recalled.content == routed.content


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", "/readyz"), ("OPTIONS", "/readyz"), ("QUERY", "/readyz")),
        *(("GET", "/readyz/"), ("GET", "/readyz/x"), ("GET", "//readyz")),
        ("GET", "/livez"),
    ],
)
async def test_other_request_is_answered_by_the_routes(method: str, path: str) -> None:
    client, of_route = client_of(Outcome(OUTCOMES[0]))
    async with client, of_route:
        answers = [
            await each.request(method, path, follow_redirects=False)
            for each in (client, of_route)
        ]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].headers.raw == answers[1].headers.raw
    assert answers[0].content == answers[1].content
