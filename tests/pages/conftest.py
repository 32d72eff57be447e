"""Fixtures of the tests of pages."""

from collections.abc import AsyncIterator

import pytest
from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncEngine

from app.components import console
from tests.support.app_client import Api, serving, settings


async def _anybody(_: Request) -> bool:
    return True


@pytest.fixture
async def operated(
    database_url: str, engine: AsyncEngine, key: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Api]:
    """A service in which every reader is an operator."""
    monkeypatch.setattr(console, "_nobody_operates", _anybody)
    async with serving(settings(database_url), key=key, engine=engine) as api:
        yield api
