"""The Big List of Naughty Strings: kept to the letter, or refused in words."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.pipeline.fields.placeholders import is_placeholder
from tests.support.service.tenant import Tenant

MAX_ID = 255


@pytest.fixture
def strings(corpora: Path) -> list[str]:
    strings: list[str] = json.loads((corpora / "blns" / "blns.json").read_bytes())
    assert len(strings) == 515
    return strings


def event(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "event": "signed_up",
        "user_id": "u",
        "message_id": f"m{number}",
        "timestamp": "2023-11-02T00:30:08.276Z",
        "properties": {"email": "a@b.c"},
    } | changes


def is_id(text: str) -> bool:
    """Whether a string can be an id of a user or an account."""
    return 1 <= len(text) <= MAX_ID and not is_placeholder(text)


def results_of(
    tenant: Tenant, events: list[dict[str, Any]], *, escaped: bool = False
) -> list[dict[str, Any]]:
    """What became of each event of one body."""
    response = tenant.post(json.dumps(events, ensure_ascii=escaped).encode())
    assert response.status_code in {200, 422}
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def stored(tenant: Tenant, expression: str) -> dict[str, Any]:
    """The value of the expression for each event, under its message id."""
    return dict(
        tenant.rows(
            f"SELECT message_id, {expression} FROM events WHERE source = :source"
        )
    )


PLACES: dict[str, tuple[Callable[[str], dict[str, Any]], str]] = {
    "user id": (lambda text: {"user_id": text}, "user_id"),
    "group id": (lambda text: {"context": {"group_id": text}}, "group_id"),
    "property name": (
        lambda text: {"properties": {text: 1, "email": "a@b.c"}},
        "(SELECT key FROM jsonb_object_keys(properties) AS key WHERE key <> 'email')",
    ),
    "property value": (
        lambda text: {"properties": {"email": "a@b.c", "p": text}},
        "properties ->> 'p'",
    ),
}


@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_string_is_read_back_to_the_letter_or_refused(
    tenant: Tenant, strings: list[str], place: str, *, escaped: bool
) -> None:
    put, expression = PLACES[place]
    results = results_of(
        tenant,
        [event(number, **put(text)) for number, text in enumerate(strings)],
        escaped=escaped,
    )

    wanted = {
        f"m{number}": text
        for number, text in enumerate(strings)
        if not place.endswith("id") or is_id(text)
    }
    assert stored(tenant, expression) == wanted
    refused = [strings[r["index"]] for r in results if r["status"] == "rejected"]
    assert len(refused) + len(wanted) == len(strings)
    assert not any(map(is_id, refused))


def test_naughty_string_is_not_a_timestamp(tenant: Tenant, strings: list[str]) -> None:
    results = results_of(
        tenant, [event(n, timestamp=text) for n, text in enumerate(strings)]
    )

    assert {result["status"] for result in results} == {"rejected"}
    assert stored(tenant, "timestamp_raw") == {}


UNSTORABLE = ["\0", "a\0b", "\ud800", "a\udfffb", "\udc00\ud800"]


@pytest.mark.parametrize("place", ["user id", "group id"])
def test_id_that_postgres_cannot_hold_rejects_the_event(
    tenant: Tenant, place: str
) -> None:
    put, _ = PLACES[place]
    results = results_of(
        tenant,
        [event(n, **put(text)) for n, text in enumerate(UNSTORABLE)],
        escaped=True,
    )

    codes = {error["code"] for result in results for error in result["errors"]}
    assert codes == {"invalid_character"}
    assert stored(tenant, "user_id") == {}
    kept = tenant.rows("SELECT payload FROM rejected_events WHERE source = :source")
    assert len(kept) == len(UNSTORABLE)


@pytest.mark.parametrize("place", ["property name", "property value"])
def test_elsewhere_it_is_replaced_with_a_warning(tenant: Tenant, place: str) -> None:
    put, expression = PLACES[place]
    results = results_of(
        tenant,
        [event(n, **put(text)) for n, text in enumerate(UNSTORABLE)],
        escaped=True,
    )

    for result in results:
        assert "character_replaced" in [w["code"] for w in result["warnings"]]
    # In the order sent, which that of the rows need not be.
    assert [text for _, text in sorted(stored(tenant, expression).items())] == [
        "\ufffd",
        "a\ufffdb",
        "\ufffd",
        "a\ufffdb",
        "\ufffd\ufffd",
    ]
