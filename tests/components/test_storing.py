"""Opening the lanes of a distributed database."""

from functools import partial
from pathlib import Path

import pytest

from app.components.storing import LaneFactory, outage_buffer
from app.metrics.catalog import POOL_LIMIT
from app.metrics.counters import Metrics
from app.request_errors import UnavailableError
from app.settings import Settings
from app.store.engine import create_engine
from app.store.service_queries import ServiceQueries
from app.store.shards.buckets import Buckets
from app.store.write.committer import Committer

URL = "postgresql://nobody@127.0.0.1:1/none"
BUCKETS = Buckets((3, 5))


def pool_limit(metrics: Metrics) -> float:
    return metrics.publish().gauges.get(POOL_LIMIT.key("buckets"), 0)


async def test_bucket_whose_journal_cannot_be_kept_opens_nothing(
    tmp_path: Path,
) -> None:
    settings = Settings(data_dir=tmp_path, journal="on")
    metrics = Metrics()
    engine = create_engine(URL)
    lookups = ServiceQueries(engine, timeout_s=1)
    outage = outage_buffer(
        settings,
        committer=Committer(engine, timeout_s=1),
        check=lookups.check_ready,
        lookups=lookups,
        metrics=metrics,
    )
    assert outage is not None
    lanes = LaneFactory(
        url=URL,
        settings=settings,
        metrics=metrics,
        committer_options=partial(dict, timeout_s=1),
        outage=outage,
    )
    obstacle = tmp_path / "journal" / "bucket-5"
    obstacle.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(UnavailableError) as caught:
            lanes.open(BUCKETS)
        assert caught.value.reason == "journal bucket-5: File exists"
    assert pool_limit(metrics) == 0

    obstacle.unlink()
    opened = lanes.open(BUCKETS)
    assert [*opened] == [3, 5]
    assert pool_limit(metrics) == 2 * len(BUCKETS.numbers)
    for lane in opened.values():
        assert lane.drain is not None
        await lane.drain.journal.close()
    await outage.drain.journal.close()
    await lanes.close()
