from collections.abc import AsyncIterator

import pytest

from tests.support.ingest.tracking import Bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    bench.writer.start()
    yield bench
    await bench.close()
