"""The pipeline on fakes: the order of refusals, and that nothing stays held."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest

from app.ingest.routes import TrackRoute
from app.pipeline.record import Record
from app.request_errors import (
    BodyTooLargeError,
    EmptyBodyError,
    InvalidEncodingError,
    InvalidJsonError,
    InvalidParameterError,
    MethodNotAllowedError,
    OverloadedError,
    RequestError,
    TooManyEventsError,
    UnauthorizedError,
    UnavailableError,
    UnsupportedMediaError,
)
from tests.support.cancelling import cancel
from tests.support.ingest.tracking import (
    BUDGET,
    KEY,
    Bench,
    ClientLeftError,
    event,
    filling,
    with_key,
    without_key,
)

GZIP = (b"content-encoding", b"gzip")
WRONG_TYPE = [(b"authorization", b"Bearer rc_known"), (b"content-type", b"text/csv")]
WRONG_KEY = [(b"authorization", b"Bearer rc_wrong"), (b"content-type", b"text/csv")]
TOO_LONG = (b"content-length", b"%d" % (BUDGET + 1))


@pytest.fixture
async def hasty() -> AsyncIterator[Bench]:
    """One that waits for nobody."""
    bench = Bench(answer_s=0.05)
    bench.writer.start()
    yield bench
    await bench.close()


async def test_event_is_stored_under_the_source_of_its_key(bench: Bench) -> None:
    answer, source = await bench.track(event())

    assert (answer.status, source) == (200, "billing")
    [record] = bench.commits.settled
    assert isinstance(record, Record)
    assert record.source == "billing"
    assert record.request_id == "request-1"
    assert record.received_at.isoformat() == "2026-11-21T00:00:00+00:00"


REFUSALS: list[tuple[str, type[RequestError], dict[str, Any]]] = [
    ("method", MethodNotAllowedError, {"method": "PUT", "headers": WRONG_KEY}),
    ("key", UnauthorizedError, {"headers": WRONG_KEY}),
    ("empty key", UnauthorizedError, {"headers": [(b"key", b"")]}),
    ("type", UnsupportedMediaError, {"headers": [*WRONG_TYPE, TOO_LONG]}),
    ("length", BodyTooLargeError, {"headers": with_key(TOO_LONG)}),
]


@pytest.mark.parametrize(("error", "request_"), [r[1:] for r in REFUSALS])
async def test_headers_refuse_in_their_order_before_the_body_is_read(
    bench: Bench, error: type[RequestError], request_: dict[str, Any]
) -> None:
    with pytest.raises(error):
        await bench.track(then="stalls", **request_)
    assert await bench.takes_as_much_as_ever()


@pytest.mark.parametrize(
    ("error", "body"),
    [
        (BodyTooLargeError, b"[" * (BUDGET + 1)),
        (InvalidJsonError, b"["),
        (EmptyBodyError, b"[]"),
        (TooManyEventsError, b"[%b]" % b",".join([b"1"] * 11)),
    ],
)
async def test_body_is_refused_before_the_key_in_it_is_read(
    bench: Bench, error: type[RequestError], body: bytes
) -> None:
    for headers in (with_key(), without_key()):
        with pytest.raises(error):
            await bench.track(body, headers=headers)
    assert await bench.takes_as_much_as_ever()


async def test_parameter_is_refused_before_the_key_in_the_body(bench: Bench) -> None:
    with pytest.raises(InvalidParameterError):
        await bench.track(event(), query=b"dry_run=yes", headers=without_key())
    with pytest.raises(UnauthorizedError):
        await bench.track(event(), query=b"dry_run=true", headers=without_key())


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("keyed", [False, True])
async def test_body_is_read_with_its_key_in_a_header_or_in_the_body(
    bench: Bench, *, gzipped: bool, keyed: bool
) -> None:
    body = event(writeKey="rc_other" if keyed else KEY)
    headers = with_key() if keyed else without_key()
    answer, source = await bench.track(
        gzip.compress(body) if gzipped else body,
        headers=[*headers, GZIP] if gzipped else headers,
    )

    assert (answer.status, source) == (200, "billing")
    assert await bench.takes_as_much_as_ever()


async def test_wrongly_encoded_body_releases_its_slots(
    bench: Bench,
) -> None:
    with pytest.raises(InvalidEncodingError):
        await bench.track(gzip.compress(event()) + b"x", headers=with_key(GZIP))
    assert await bench.takes_as_much_as_ever()


@pytest.mark.parametrize("headers", [with_key(), without_key()])
@pytest.mark.parametrize("sent", [0, 1, 100])
async def test_unfinished_body_releases_its_slots(
    bench: Bench, headers: list[tuple[bytes, bytes]], sent: int
) -> None:
    body = [event()[:sent]] if sent else []
    with pytest.raises(ClientLeftError):
        await bench.track(
            *body,
            then="leaves",
            headers=[*headers, (b"content-length", b"3000")],
        )
    assert await bench.takes_as_much_as_ever()


async def test_client_disconnected_in_its_body_releases_its_slots(bench: Bench) -> None:
    request = asyncio.create_task(bench.track(b"{", then="stalls"))
    await asyncio.sleep(0)  # the handler reads it within one turn
    await cancel(request)
    assert await bench.takes_as_much_as_ever()


async def test_client_disconnected_while_waiting_has_its_events_stored(
    bench: Bench,
) -> None:
    bench.commits.open.clear()
    request = asyncio.create_task(bench.track(filling(BUDGET)))
    await bench.commits.begun.wait()
    await cancel(request)

    with pytest.raises(OverloadedError):
        await bench.track(event())
    bench.commits.open.set()
    await bench.writer.stop()
    assert len(bench.commits.settled) == 1


async def test_request_above_the_budget_is_refused_and_others_continue(
    bench: Bench,
) -> None:
    bench.commits.open.clear()
    first = asyncio.create_task(bench.track(filling(BUDGET - 1_000)))
    await bench.commits.begun.wait()
    second = asyncio.create_task(bench.track(filling(1_000)))
    await asyncio.sleep(0)  # the handler reads it within one turn
    with pytest.raises(OverloadedError):
        await bench.track(b"{}")
    bench.commits.open.set()

    assert [(await task)[0].status for task in (first, second)] == [200, 200]
    assert await bench.takes_as_much_as_ever()


async def test_refusals_of_a_burst_leave_turns_of_the_loop_to_others(
    bench: Bench,
) -> None:
    bench.commits.open.clear()
    first = asyncio.create_task(bench.track(filling(BUDGET)))
    await bench.commits.begun.wait()
    burst = [asyncio.create_task(bench.track(event())) for _ in range(800)]
    refused = [0]
    for _ in range(20):
        await asyncio.sleep(0)
        refused.append(sum(task.done() for task in burst))
    bench.commits.open.set()

    assert max(after - before for before, after in pairwise(refused)) == 50
    for task in burst:
        with pytest.raises(OverloadedError):
            await task
    assert (await first)[0].status == 200
    assert await bench.takes_as_much_as_ever()


async def test_unconfirmed_commit_is_reported(bench: Bench) -> None:
    bench.commits.confirms = False
    with pytest.raises(UnavailableError):
        await bench.track(filling(BUDGET))
    bench.commits.confirms = True
    assert await bench.takes_as_much_as_ever()


async def test_slow_commit_is_abandoned_at_the_deadline(hasty: Bench) -> None:
    hasty.commits.open.clear()
    with pytest.raises(UnavailableError):
        await hasty.track(filling(1_000))
    with pytest.raises(UnavailableError):
        await hasty.track(filling(1_000, user_id="dropped"))
    hasty.commits.open.set()
    hasty.answer_within(20)
    await hasty.track(event(user_id="after them"))

    assert await hasty.takes_as_much_as_ever()
    users = {e.user_id for e in hasty.commits.settled if isinstance(e, Record)}
    assert "dropped" not in users


async def test_slow_key_look_up_is_abandoned_at_the_deadline(hasty: Bench) -> None:
    hasty.keys.open.clear()
    for headers in (with_key(), without_key()):
        with pytest.raises(UnavailableError):
            await hasty.track(filling(BUDGET, writeKey=KEY), headers=headers)
    hasty.keys.open.set()
    hasty.answer_within(20)
    assert await hasty.takes_as_much_as_ever()


async def test_stopping_writer_refuses_and_holds_nothing(bench: Bench) -> None:
    await bench.writer.stop()
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await bench.track(filling(BUDGET))


async def test_dry_run_holds_and_commits_nothing(bench: Bench) -> None:
    answer, _ = await bench.track(
        b"[%b,%b]" % (event(), event(user_id=None)), query=b"dry_run=true"
    )

    content = json.loads(answer.body)
    assert [result["status"] for result in content["results"]] == ["valid", "rejected"]
    assert (content["dry_run"], content["stored"]) == (True, 0)
    assert bench.commits.settled == []
    assert await bench.takes_as_much_as_ever()


async def test_body_without_events_commits_nothing(bench: Bench) -> None:
    route = TrackRoute("/v1/batch", lenient=True, calls="typed")
    for body in (b"[]", b'{"batch":[]}', b'{"type":"page"}'):
        answer, _ = await bench.track(body, route=route)
        assert answer.status == 200
    assert bench.commits.settled == []
    assert await bench.takes_as_much_as_ever()


@pytest.mark.parametrize(
    ("query", "dry"),
    [
        (b"", False),
        (b"dry_run=false", False),
        (b"dry%5Frun=true", True),
    ],
)
async def test_dry_run_is_requested_explicitly(
    bench: Bench, query: bytes, *, dry: bool
) -> None:
    answer, _ = await bench.track(event(), query=query)

    assert json.loads(answer.body).get("dry_run", False) is dry
    assert bool(bench.commits.settled) is not dry


@pytest.mark.parametrize(
    "value", [b"", b"1", b"0", b"True", b"yes", b"true&dry_run=true", b"%ff", b"true "]
)
async def test_any_other_dry_run_is_refused(bench: Bench, value: bytes) -> None:
    with pytest.raises(InvalidParameterError):
        await bench.track(event(), query=b"dry_run=" + value)
    with pytest.raises(InvalidParameterError):
        await bench.track(event(), query=b"dry_run")
    assert bench.commits.settled == []
    assert await bench.takes_as_much_as_ever()


async def test_first_of_repeated_headers_counts(bench: Bench) -> None:
    key, wrong = (b"key", KEY.encode()), (b"key", b"rc_wrong")
    json_type = (b"content-type", b"application/json")
    csv_type = (b"content-type", b"text/csv")

    await bench.track(event(), headers=[json_type, key, wrong, csv_type])
    with pytest.raises(UnauthorizedError):
        await bench.track(event(), headers=[json_type, wrong, key])
