"""The statements of a bucket, on a single server."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.db_errors import DATABASE_ERRORS, is_data_error
from app.store.shards.claim import claim_in_bucket
from app.store.transaction import driver_in_transaction
from tests.support.store.entries import record

ARRIVING = """
CREATE TEMPORARY TABLE events_arriving AS
SELECT 0 AS bucket, CAST(0 AS bigint) AS batch, id, source, event, user_id, group_id,
    "timestamp", timestamp_raw, received_at, message_id, '' AS properties,
    '' AS context, '' AS warnings, CAST('' AS bytea) AS content_hash, '' AS extra
FROM events
"""


@pytest.mark.parametrize("text", ["\x00", "\ud800"])
async def test_text_that_postgres_cannot_hold_is_an_error_of_the_data(
    engine: AsyncEngine, text: str
) -> None:
    async with engine.connect() as connection:
        driver = await driver_in_transaction(connection)
        await driver.execute(ARRIVING)
        with pytest.raises(DATABASE_ERRORS) as refused:
            await claim_in_bucket(driver, 0, [record()._replace(timestamp_raw=text)])
        assert is_data_error(refused.value)
