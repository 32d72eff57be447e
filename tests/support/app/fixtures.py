"""The app on a database of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.keys.keys import create_key
from tests.support.app.client import Api, serving, settings


@pytest.fixture
async def key(engine: AsyncEngine) -> str:
    async with engine.begin() as connection:
        return await create_key(connection, source="billing-backend")


@pytest.fixture
async def api(
    database_url: str, engine: AsyncEngine, key: str, tmp_path: Path
) -> AsyncIterator[Api]:
    configured = settings(database_url, data_dir=tmp_path, journal="off")
    async with serving(configured, key=key, engine=engine) as api:
        yield api
