"""Bounds for all requests but events: slots, the queue, and leaving them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.responses import StreamingResponse

from app.ingest.dispatch import Dispatcher
from app.ingest.load.bounds import Bound, Slot
from app.request_errors import OverloadedError
from tests.support.cancelling import cancel
from tests.support.eventually import eventually
from tests.support.ingest.tracking import TRACK, Bench


def bound(slots: int = 1, max_waiting: int = 1, max_wait_s: float = 20) -> Bound:
    return Bound(slots, max_waiting=max_waiting, max_wait_s=max_wait_s)


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_requests_beyond_the_slots_wait_in_order() -> None:
    one, entered = bound(max_waiting=5), []

    async def enter(name: str) -> None:
        await one.enter()
        entered.append(name)

    tasks = [asyncio.create_task(enter(name)) for name in "abc"]
    await turn()
    assert entered == ["a"]
    for expected in ("ab", "abc"):
        one.leave()
        await turn()
        assert entered == [*expected]
    await asyncio.gather(*tasks)


async def test_request_beyond_those_that_may_wait_is_refused() -> None:
    one = bound()
    await one.enter()
    waiting = asyncio.create_task(one.enter())
    await turn()
    with pytest.raises(OverloadedError):
        await one.enter()
    one.leave()
    await waiting


async def test_request_that_waits_too_long_is_refused() -> None:
    one = bound(max_wait_s=0.01)
    await one.enter()
    with pytest.raises(OverloadedError):
        await one.enter()
    one.leave()
    await one.enter()


async def test_request_that_leaves_while_it_waits_frees_its_place() -> None:
    one = bound()
    await one.enter()
    waiting = asyncio.create_task(one.enter())
    await turn()
    await cancel(waiting)
    one.leave()
    await one.enter()


async def test_slot_that_ends_while_it_is_entered_is_free() -> None:
    one = bound(max_wait_s=0.01)
    slot = Slot(one)
    entering = asyncio.create_task(slot.enter())
    await asyncio.sleep(0)  # it has its place, and does not know it yet
    slot.end()
    await entering
    await slot.enter()
    await one.enter()


async def test_slot_left_twice_counts_once() -> None:
    one = bound(max_wait_s=0.01)
    slot = Slot(one)
    await slot.enter()
    slot.leave()
    slot.leave()
    await one.enter()
    with pytest.raises(OverloadedError):
        await one.enter()


class Pages:
    """An app whose responses take until a test lets them go."""

    def __init__(self) -> None:
        self.working = self.streaming = 0
        self.most = 0
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/stream":
            # It listens for the end of the connection before the response begins.
            await StreamingResponse(self._stream())(scope, receive, send)
            return
        if scope["method"] == "POST":
            await receive()
        self.working += 1
        self.most = max(self.most, self.working)
        await self.go.wait()
        self.working -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def _stream(self) -> AsyncIterator[bytes]:
        self.streaming += 1
        await self.go.wait()
        yield b""


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
def client(pages: Pages) -> httpx.AsyncClient:
    app = Dispatcher(
        [TRACK],
        services=Bench().services,
        rest=pages,
        is_known_reader=lambda headers: (b"x-api-key", b"known") in headers,
    )
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://rollcall", timeout=60
    )


def ask(client: httpx.AsyncClient, *asked: str, **more: Any) -> list[Any]:
    return [asyncio.create_task(client.get(path, **more)) for path in asked]


async def test_flood_without_a_key_is_refused_and_holds_up_no_known_reader(
    client: httpx.AsyncClient, pages: Pages
) -> None:
    flood = ask(client, *["/page"] * 100)
    await eventually(lambda: sum(task.done() for task in flood) == 100 - 2 - 64)
    done = [task for task in flood if task.done()]
    waiting = [task for task in flood if not task.done()]
    assert {task.result().status_code for task in done} == {503}
    assert pages.most == 2

    known = ask(client, "/page", headers={"x-api-key": "known"})
    await eventually(lambda: pages.working == 3)
    pages.go.set()
    for task in (*known, *waiting):
        assert (await task).status_code == 200
    assert pages.most <= 3


async def test_probes_do_not_wait(client: httpx.AsyncClient, pages: Pages) -> None:
    asked = ask(client, *["/page"] * 5, "/livez", "/readyz")
    await eventually(lambda: pages.working == 4)
    pages.go.set()
    await asyncio.gather(*asked)
    assert pages.most == 4


async def test_stream_leaves_its_slot_at_its_first_byte(
    client: httpx.AsyncClient, pages: Pages
) -> None:
    streams = ask(client, *["/stream"] * 5)
    await eventually(lambda: pages.streaming == 5)
    asked = ask(client, "/page", "/page")
    await eventually(lambda: pages.working == 2)
    pages.go.set()
    await asyncio.gather(*streams, *asked)
    assert pages.most == 2


async def test_slow_sender_of_a_form_holds_no_slot(
    client: httpx.AsyncClient, pages: Pages
) -> None:
    async def slowly() -> Any:
        await pages.go.wait()
        yield b"key=a"

    forms = [
        asyncio.create_task(client.post("/sign-in", content=slowly())) for _ in range(5)
    ]
    asked = ask(client, "/page", "/page")
    await eventually(lambda: pages.working == 2)
    pages.go.set()
    await asyncio.gather(*asked, *forms)
