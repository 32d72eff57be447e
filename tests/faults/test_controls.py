"""The negative controls: a checker that cannot turn red is worth nothing."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.conftest import ROOT
from tests.faults.conftest import NewRow
from tests.support.faults.ledger import Verdict
from tests.support.faults.postgres import Postgres
from tests.support.faults.sender import Load, under_load
from tests.support.postgres.proxy import Proxy
from tests.support.service.process import environment

Endpoint = tuple[str, int]


@pytest.fixture
async def url(postgres: Postgres) -> AsyncIterator[str]:
    url = await postgres.new_database()
    yield url
    await postgres.drop(url)


@contextmanager
def broken(promise: str, url: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A service that breaks a promise; yields its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.faults.broken", promise, url],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1], process
        finally:
            process.kill()


def endpoint_of(address: str) -> Endpoint:
    parts = urlsplit(address)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def red(new_row: NewRow, what: str, verdict: Verdict, *, found: int) -> None:
    """The control must have been found out, and by the right number."""
    row = new_row("control", what)
    row.holds("checker turns red", met=found > 0, measured="/".join(map(str, verdict)))
    row.settle()


async def test_check_finds_a_response_before_the_commit(
    url: str, new_row: NewRow
) -> None:
    with broken("early", url) as (address, process):
        async with under_load(endpoint_of(address), "any", rate=100) as load:
            await load.until_confirmed(50)
            process.kill()
    verdict = await load.ledger.check(url)
    red(new_row, "answers before the commit", verdict, found=verdict.lost)


async def test_check_finds_missing_deduplication(
    url: str, new_row: NewRow, postgres: Postgres
) -> None:
    await postgres.execute(
        "ALTER TABLE event_ids DROP CONSTRAINT event_ids_pkey", url=url
    )
    with broken("doubling", url) as (address, _):
        async with (
            Proxy(address).listening() as proxy,
            under_load(endpoint_of(proxy.url), "any", rate=100) as load,
        ):
            await load.until_confirmed(20)
            for _ in range(10):
                proxy.after(b"POST /track", proxy.cut)
                await broke_once_more(load)
    verdict = await load.ledger.check(url)
    red(new_row, "has no primary key", verdict, found=verdict.dup)


async def broke_once_more(load: Load) -> None:
    before = load.unanswered.total()
    await load.until(lambda: load.unanswered.total() > before, within_s=10)


async def test_check_finds_a_commit_after_the_response(
    url: str, new_row: NewRow, postgres: Postgres
) -> None:
    await postgres.script(
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'refused at commit'; END $$;
        CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON events
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
        WHEN (NEW.user_id LIKE '%3') EXECUTE FUNCTION refuse();
        """,
        url=url,
    )
    with broken("yielding", url) as (address, _):
        async with under_load(endpoint_of(address), "any", rate=100) as load:
            await load.until_confirmed(50)
    verdict = await load.ledger.check(url)
    red(new_row, "commits in a yield dependency", verdict, found=verdict.lost)


CHANGES = {
    "lost": "DELETE FROM events WHERE user_id = 'user-1'",
    "torn": "UPDATE events SET properties = properties || '{\"number\": 0}'"
    " WHERE user_id = 'user-1'",
    "phantom": "UPDATE events SET user_id = 'user-x' WHERE user_id = 'user-1'",
    "dup": "INSERT INTO events SELECT * FROM events WHERE user_id = 'user-1'",
}


@pytest.mark.parametrize("number", CHANGES)
async def test_each_number_of_the_check_finds_its_defect(
    url: str, postgres: Postgres, number: str, new_row: NewRow
) -> None:
    with broken("doubling", url) as (address, _):
        async with under_load(endpoint_of(address), "any", rate=100) as load:
            await load.until_confirmed(5)
    assert await load.ledger.check(url) == (0, 0, 0, 0)
    await postgres.execute(CHANGES[number], url=url)
    verdict = await load.ledger.check(url)
    red(new_row, f"{number}, by hand", verdict, found=getattr(verdict, number))
