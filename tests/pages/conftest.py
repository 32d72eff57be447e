"""Fixtures of the tests of pages."""

import httpx
import pytest

from tests.support.app.client import Api
from tests.support.app.console import signed_in


@pytest.fixture
async def operator(api: Api) -> httpx.AsyncClient:
    """A browser that is signed in with a key of the scope `operate`."""
    return await signed_in(api, scope="operate")
