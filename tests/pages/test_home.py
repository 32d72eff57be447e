"""Home over HTTP: the state for readers, also while Postgres does not respond."""

from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.instances import Instance, record_instance
from tests.support.app.client import Api, serving, settings
from tests.support.app.read_api import bearer, read_key
from tests.support.eventually import eventually
from tests.support.limits import OUTAGE
from tests.support.pipeline.verdicts import signed_up_with
from tests.support.postgres.proxy import Proxy

HTML = {"accept": "text/html"}
# Settings in which instances differ.
NOTICE = 'id="differences"'


async def test_home_without_session_is_the_start_page(api: Api) -> None:
    page = await api.client.get("/", headers=HTML)
    assert page.status_code == 200
    assert "data-mode" not in page.text


async def test_home_shows_state_and_activity(api: Api) -> None:
    headers = bearer(await read_key(api.engine))
    await api.post(signed_up_with())
    page = await api.client.get("/", headers=headers)
    assert 'data-mode="storing"' in page.text
    assert NOTICE not in page.text
    state = (await api.client.get("/state", headers=headers)).json()
    assert state["mode"] == "storing"
    [source] = state["points"]
    assert state["cells"][f"source {source} hour"] == "1"
    assert int(state["cells"]["weeks"]) >= 4


async def test_home_names_settings_in_which_instances_differ(
    engine: AsyncEngine, database_url: str
) -> None:
    other = Instance("<b>:8000", "0.1.0", {"ROLLCALL_MAX_EVENT_BYTES": 7})
    async with engine.begin() as connection:
        await record_instance(connection, other)
    headers = bearer(await read_key(engine))
    async with serving(settings(database_url), key="", engine=engine) as api:

        async def is_noticed() -> bool:
            return NOTICE in (await api.client.get("/", headers=headers)).text

        # An instance reports when it starts, beside its first requests.
        await eventually(is_noticed, within_s=60)
        page = (await api.client.get("/", headers=headers)).text
    assert "ROLLCALL_MAX_EVENT_BYTES is " in page
    assert "7 on &lt;b&gt;:8000" in page
    assert "131072 on " in page


async def test_state_without_read_key_is_refused(api: Api) -> None:
    answer = await api.client.get("/state", headers=bearer(api.key))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(database_url).listening() as proxy:
        yield proxy


@pytest.fixture
async def away(engine: AsyncEngine, proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    """A reader of a service whose database is about to freeze."""
    key = await read_key(engine)
    behind = settings(proxy.url, key_cache_seconds=0, **OUTAGE)
    async with serving(behind, key="", engine=engine) as api:
        api.client.headers.update(bearer(key))
        assert (await api.client.get("/")).status_code == 200
        yield api.client


async def test_home_during_outage_shows_state_to_a_known_reader(
    away: httpx.AsyncClient, proxy: Proxy
) -> None:
    proxy.freeze()
    page = await away.get("/")
    assert page.status_code == 200
    assert 'data-mode="refusing"' in page.text
    assert (await away.get("/state")).json()["mode"] == "refusing"
    other = await away.get("/state", headers=bearer("rc_read_other"))
    assert other.status_code == 503
    proxy.thaw()
    assert (await away.get("/state")).json()["mode"] == "storing"
