"""What comes too late for a request: the look-up of its key, or its refusal."""

import logging

import pytest

from tests.support.eventually import eventually
from tests.support.http.connecting import Wire, post
from tests.support.ingest.tracking import Bench
from tests.support.metrics.samples import figures_of


async def test_late_look_up_does_not_end_the_hold_of_the_next_request(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.keys.accept("rc_first")
    bench.keys.open.clear()
    wire = Wire(bench)
    with monkeypatch.context() as kernel:  # it held the first request for 20 s
        kernel.setattr("app.http.output.waited_s", lambda _: 20.0)
        wire.send(post(key="rc_first"))
    assert await wire.responses(1) == [503]
    await eventually(lambda: wire.transport.reads)
    wire.send(post(key="rc_second")[:-1])
    looking_up = bench.services._tasks  # noqa: SLF001 - nothing reports the late end
    assert len(looking_up) == 2
    bench.keys.open.set()  # for the first alone, because one is looked up at a time
    bench.keys.open.clear()
    await eventually(lambda: len(looking_up) == 1)

    assert not wire.transport.reads
    bench.keys.open.set()
    assert await wire.responses(2) == [503, 401]


async def test_refusal_for_load_of_a_client_that_left_counts_as_unanswered(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.services.budget.limit = 10
    wire = Wire(bench)
    with caplog.at_level(logging.INFO):
        wire.send(post())
        wire.transport.close()
        wire.connection.connection_lost(None)
        await eventually(lambda: "client left" in caplog.messages)
    bench.metrics.publish()
    figures = figures_of(bench.metrics)

    assert figures("rollcall_requests_total", route="/track", status="0") == 1
    assert not figures("rollcall_refusals_total", code="overloaded")
    assert "overloaded: refusing requests" not in caplog.messages
