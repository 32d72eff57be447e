from collections.abc import AsyncIterator

import pytest

from tests.support.ingest.tracking import Bench, event


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    bench.writer.start()
    await bench.track(event())  # the key is known from now on
    yield bench
    await bench.close()
