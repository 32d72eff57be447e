import base64
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.cursor import read_cursor, write_cursor
from app.request_errors import InvalidCursorError
from app.store.read.events import KeysetPosition

PLACE = KeysetPosition(
    datetime(2026, 11, 22, 1, 2, 3, 456789, tzinfo=UTC), UUID(int=2**100)
)
QUERY: Any = ["/v1/events", {"user_id": "u", "event": None}]
CURSOR = write_cursor(PLACE, query=QUERY)


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.uuids(),
    st.dictionaries(st.text(), st.text()),
)
def test_position_survives_encoding(
    at: datetime, id_: UUID, query: dict[str, str]
) -> None:
    cursor = write_cursor(KeysetPosition(at, id_), query=query)
    assert read_cursor(cursor, query=query) == KeysetPosition(at, id_)


def test_cursor_needs_no_escaping_in_a_url() -> None:
    assert set(CURSOR) <= set(base64.urlsafe_b64encode(bytes(range(256))).decode())
    assert "=" not in CURSOR
    assert len(CURSOR) < 100


@pytest.mark.parametrize(
    "other",
    [
        ["/v1/rejected", QUERY[1]],
        ["/v1/events", {"user_id": "u2", "event": None}],
        ["/v1/events", {"user_id": None, "event": "u"}],
        ["/v1/events", {}],
        None,
    ],
)
def test_cursor_of_another_query_is_refused(other: object) -> None:
    with pytest.raises(InvalidCursorError):
        read_cursor(CURSOR, query=other)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "0",
        "' OR 1=1 --",
        CURSOR[:-1],
        CURSOR + "A",
        CURSOR + "=",
        CURSOR + "==",
        " " + CURSOR,
        CURSOR + "\n",
        CURSOR.replace(CURSOR[5], "\u00e4"),
        "\ud800" * len(CURSOR),
        "A" * len(CURSOR),
        "_" * len(CURSOR),
        CURSOR * 1000,
    ],
)
def test_invalid_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursorError) as caught:
        read_cursor(cursor, query=QUERY)
    assert cursor not in caught.value.detail or not cursor


@pytest.mark.parametrize("index", range(len(CURSOR)))
def test_no_character_of_a_cursor_can_be_changed(index: int) -> None:
    for other in "AB_":
        forged = CURSOR[:index] + other + CURSOR[index + 1 :]
        if forged != CURSOR:
            with pytest.raises(InvalidCursorError):
                read_cursor(forged, query=QUERY)
