"""Actions on persons: one at a time."""

import asyncio
from pathlib import Path

import pytest

from app.pipeline.person import Person
from app.request_errors import OverloadedError, UnavailableError
from app.store.engine import create_engine
from app.store.lifecycle.person_actions import PersonActions

NOWHERE = "postgresql://rollcall@127.0.0.1:1/none?connect_timeout=1"


async def test_second_action_is_refused_at_once_and_waits_on_no_slot_of_pages(
    tmp_path: Path,
) -> None:
    engine = create_engine(NOWHERE, pool_size=1)
    actions = PersonActions(NOWHERE, engine, journals=tmp_path)
    person = Person("user", [])
    first, second, *_ = await asyncio.gather(
        *(actions.find(person) for _ in range(2)), return_exceptions=True
    )
    await engine.dispose()

    assert isinstance(first, UnavailableError)
    assert isinstance(second, OverloadedError)
    with pytest.raises(UnavailableError):
        await actions.find(person)
