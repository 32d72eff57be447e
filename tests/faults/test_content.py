"""F13 to F15 and F24: the payload itself is the fault."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

from tests.faults.conftest import Limits, NewRow
from tests.support.faults.actions import session
from tests.support.faults.ledger import Fate, Ledger, make_event
from tests.support.faults.sender import Load, dial, post
from tests.support.faults.stage import Stage
from tests.support.service.workers import both_workers

_POISON = """
CREATE TABLE poison (user_id text PRIMARY KEY, state text);
CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE found_state text;
BEGIN
    SELECT state INTO found_state FROM poison WHERE user_id = NEW.user_id;
    IF found_state IS NOT NULL THEN
        RAISE EXCEPTION 'poison' USING ERRCODE = found_state, CONSTRAINT = 'ours';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER poison BEFORE INSERT ON events
FOR EACH ROW EXECUTE FUNCTION poison();
"""
# Errors of Postgres about data: out of range, not of the encoding, no such Unicode
# character, null, against a check, too much for it.
_REFUSALS = ("22003", "22021", "22P05", "23502", "23514", "54000")
_PLACES = (0, 50, 99)


async def test_f13_deadlock_storm(
    stage: Stage, new_row: NewRow, limits: Limits, *, at_length: bool
) -> None:
    row = new_row("F13", "16 senders, batches of 50 of 60 ids, shuffled")
    service = stage.start(workers=2, limits=limits)
    both_workers(service)
    load = Load(service.endpoint, stage.key, rate=0)
    chance = random.Random(13)

    async def storm() -> None:
        for _ in range(40 if at_length else 8):
            numbers = chance.sample(range(60), 50)
            await load.send(load.ledger.body_of(numbers))

    await asyncio.gather(*(storm() for _ in range(16)))
    load.close()
    errors = load.ledger.fates.total() - load.ledger.fates[Fate.OK]
    row.at_most("errors that senders saw", errors, 0)
    row.verdict(await load.ledger.check(stage.url))
    row.settle()


async def test_f14_poison_among_a_hundred(
    stage: Stage, new_row: NewRow, limits: Limits
) -> None:
    row = new_row("F14", "one of 100 is refused by Postgres")
    await stage.postgres.script(_POISON, url=stage.url)
    service = stage.start(limits=limits)
    load = Load(service.endpoint, stage.key, rate=0)
    named = []
    for state in _REFUSALS:
        for place in _PLACES:
            body = load.ledger.new_body(100)
            user = f"user-{body.numbers[place]}"
            async with session(stage) as connection:
                await connection.execute(
                    "INSERT INTO poison VALUES ($1, $2)", user, state
                )
            assert await load.send(body) is Fate.OK
            results = json.loads(load.answers[-1].body)["results"]
            named += [r["index"] for r in results if r["status"] == "rejected"]
    load.close()
    row.holds(
        "each is named, and no other",
        met=named == [*_PLACES] * len(_REFUSALS),
        measured=f"{len(named)} of {len(load.answers)}",
    )
    row.holds(
        "its neighbours are stored",
        met=load.ledger.statuses["stored"] == 99 * len(load.answers),
        measured=str(load.ledger.statuses["stored"]),
    )
    row.verdict(await load.ledger.check(stage.url))
    row.settle()


async def test_f15_one_id_at_once(
    stage: Stage, new_row: NewRow, limits: Limits
) -> None:
    row = new_row("F15", "the same id 64 times at once, 2 workers")
    service = stage.start(workers=2, limits=limits)
    both_workers(service)
    load = Load(service.endpoint, stage.key, rate=0)
    number = 1  # of those that have a message id
    bodies = [load.ledger.body_of([number]) for _ in range(64)]
    await asyncio.gather(*map(load.send, bodies))
    load.close()
    row.at_most("errors that senders saw", 64 - load.ledger.fates[Fate.OK], 0)
    row.holds("one is stored", met=load.ledger.statuses["stored"] == 1)
    row.verdict(await load.ledger.check(stage.url))

    differing = [with_property(4, n) for n in range(64)]
    answers = await asyncio.gather(
        *(ask_once(stage, json.dumps(event).encode()) for event in differing)
    )
    statuses = [answer["results"][0]["status"] for answer in answers]
    row.holds("one of 64 contents is stored", met=statuses.count("stored") == 1)
    kept = await stage.postgres.execute(
        "SELECT count(*) FROM rejected_events WHERE reason = 'id_conflict'",
        url=stage.url,
    )
    row.holds("the others are kept", met=kept == 63, measured=str(kept))
    row.settle()


def with_property(number: int, value: int) -> dict[str, Any]:
    event = make_event(number)
    event["properties"]["value"] = value
    return event


async def ask_once(stage: Stage, body: bytes) -> Any:
    line = await dial(stage.service.endpoint)
    try:
        status, _, answer = await line.ask(post(stage.key, body))
    finally:
        line.close()
    assert status < 500
    return json.loads(answer)


async def test_f24_every_file_of_the_corpora(
    stage: Stage, new_row: NewRow, limits: Limits, corpora: Path
) -> None:
    row = new_row("F24", "every file of the corpora")
    service = stage.start(limits=limits)
    contents = await asyncio.to_thread(read_all, corpora)
    line = await dial(service.endpoint)
    statuses: list[int] = []
    values: dict[str, str] = {}
    for number, content in enumerate(contents):
        text = content.decode(errors="replace").replace("\0", "0")[:20_000]
        values[f"user-{number}"] = text
        event = make_event(number)
        event["properties"]["value"] = text
        for body in (content, json.dumps(event).encode()):
            if not line.is_usable:
                line = await dial(service.endpoint)
            status, _, _ = await line.ask(post(stage.key, body))
            statuses.append(status)
    line.close()
    row.at_most("5xx", sum(status >= 500 for status in statuses), 0)
    async with session(stage) as connection:
        rows = await connection.fetch(
            "SELECT user_id, properties ->> 'value' FROM events"
        )
    stored = dict(map(tuple, rows))
    different = [user for user, text in values.items() if stored.get(user) != text]
    row.at_most("read back otherwise", len(different), 0)
    row.told("files", str(len(contents)))
    row.settle()


def read_all(directory: Path) -> list[bytes]:
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return [path.read_bytes() for path in paths]


def test_ledger_distinguishes_its_events() -> None:
    ledger = Ledger()
    bodies = [ledger.new_body(3), ledger.body_of([5, 1])]
    assert [list(body.numbers) for body in bodies] == [[0, 1, 2], [5, 1]]
    assert ledger.events == 6
