"""No cycles of references are left: the collector stops the event loop for them."""

import gc
from collections.abc import Iterator
from weakref import ref

import pytest

from tests.support.http.connecting import Wire, post
from tests.support.ingest.tracking import Bench

GET = b"GET /docs HTTP/1.1\r\nHost: r\r\n\r\n"
COUNT = 50


@pytest.fixture
def _no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collection")
@pytest.mark.parametrize("request_", [GET, post()], ids=["document", "event"])
async def test_answered_request_leaves_no_cycle(bench: Bench, request_: bytes) -> None:
    wire = Wire(bench)
    wire.send(post())  # clients without a known key are left unread for a while
    await wire.responses(1)
    gc.collect()
    for number in range(COUNT):
        wire.send(request_)
        await wire.responses(2 + number)

    assert gc.collect() < COUNT


@pytest.mark.usefixtures("_no_collection")
async def test_ended_connection_leaves_no_cycle(bench: Bench) -> None:
    wire = Wire(bench)
    wire.send(GET)
    await wire.responses(1)
    connection = ref(wire.connection)
    wire.connection.back_off(60)
    wire.connection.connection_lost(None)
    del wire

    assert connection() is None
