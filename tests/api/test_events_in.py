"""Bodies of one event and of many: stored rows, rejected events and responses."""

import copy
import gzip
import json
from typing import Any

import pytest

from app.ingest.response_models import TrackResponseModel
from tests.support.app.client import Api
from tests.support.pipeline.verdicts import SIGNED_UP, without

BAD = without(SIGNED_UP, "user_id")
IDEMPOTENT = {"idempotency-key": "from-header"}


def many(count: int) -> list[dict[str, Any]]:
    return [SIGNED_UP | {"user_id": f"user-{number}"} for number in range(count)]


async def answered(api: Api, body: object, **options: Any) -> dict[str, Any]:
    """The answer to a body that is taken, in its one form."""
    response = await api.post(body, **options)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    content: dict[str, Any] = response.json()
    TrackResponseModel.model_validate(content, strict=True)
    assert content["response_id"] == response.headers["x-request-id"]
    return content


async def count(api: Api, table: str) -> int:
    total: int = await api.scalar(f"SELECT count(*) FROM {table}")
    return total


@pytest.mark.parametrize("bad_at", [[0], [50], [99], [0, 1, 50, 98, 99]])
async def test_bad_events_are_named_and_kept_and_harm_no_other(
    api: Api, bad_at: list[int]
) -> None:
    body = many(100)
    for index in bad_at:
        body[index] = BAD | {"n": index}
    answer = await answered(api, body)

    good = 100 - len(bad_at)
    assert (answer["stored"], answer["rejected"]) == (good, len(bad_at))
    assert answer["success"] is False
    assert [r["index"] for r in answer["results"]] == [*range(100)]
    rejected = [r for r in answer["results"] if r["status"] == "rejected"]
    assert [r["index"] for r in rejected] == bad_at
    assert {e["path"] for r in rejected for e in r["errors"]} == {"user_id"}
    assert await count(api, "events") == good
    rows = await api.rows("SELECT * FROM rejected_events")
    assert {str(row.id) for row in rows} == {r["id"] for r in rejected}
    assert {json.loads(row.payload)["n"] for row in rows} == {*bad_at}
    for row in rows:
        assert (row.source, row.reason) == ("billing-backend", "missing_field")
        assert row.request_id == answer["response_id"]
        assert [error["path"] for error in row.errors] == ["user_id"]


async def test_repeated_body_stores_no_duplicates(api: Api) -> None:
    body = [*many(3), BAD, 7]
    first = await answered(api, body)
    again = await answered(api, body)

    assert (again["stored"], again["duplicates"], again["rejected"]) == (0, 3, 2)
    assert [r["id"] for r in again["results"]] == [r["id"] for r in first["results"]]
    assert (await count(api, "events"), await count(api, "rejected_events")) == (3, 2)


async def test_repeated_body_of_bad_events_is_kept_once(api: Api) -> None:
    for _ in range(2):
        response = await api.post([BAD, None])
        assert response.status_code == 422
        indexes = [error["index"] for error in response.json()["errors"]]
        assert indexes == [0, 1]
    assert await count(api, "rejected_events") == 2


async def test_event_repeated_in_a_body_is_stored_once(api: Api) -> None:
    answer = await answered(api, [SIGNED_UP, copy.deepcopy(SIGNED_UP)])

    assert [r["status"] for r in answer["results"]] == ["stored", "duplicate"]
    assert len({r["id"] for r in answer["results"]}) == 1


async def test_id_with_other_content_keeps_the_first_and_quarantines_the_second(
    api: Api,
) -> None:
    first = SIGNED_UP | {"message_id": "m1"}
    other = first | {"properties": SIGNED_UP["properties"] | {"name": "Other"}}
    [stored] = (await answered(api, first))["results"]
    [differs] = (await answered(api, other))["results"]

    assert (differs["status"], differs["id"]) == ("duplicate", stored["id"])
    assert [warning["code"] for warning in differs["warnings"]] == ["content_differs"]
    [event] = await api.rows("SELECT * FROM events")
    assert event.properties == SIGNED_UP["properties"]
    [kept] = await api.rows("SELECT * FROM rejected_events")
    assert kept.reason == "id_conflict"
    assert json.loads(kept.payload) == other


async def test_idempotency_key_is_the_message_id_of_one_object_alone(
    api: Api,
) -> None:
    await answered(api, SIGNED_UP, headers=IDEMPOTENT)
    await answered(api, many(2), headers=IDEMPOTENT)
    await answered(api, SIGNED_UP | {"message_id": "from-body"}, headers=IDEMPOTENT)

    ids = [row.message_id for row in await api.rows("SELECT message_id FROM events")]
    assert sorted(id_ or "" for id_ in ids) == ["", "", "from-body", "from-header"]


async def test_idempotency_key_makes_two_timestamps_one_event(api: Api) -> None:
    later = SIGNED_UP | {"timestamp": "2023-11-02T00:30:09Z"}
    await answered(api, SIGNED_UP, headers=IDEMPOTENT)
    [result] = (await answered(api, later, headers=IDEMPOTENT))["results"]

    assert result["status"] == "duplicate"
    assert await count(api, "events") == 1


@pytest.mark.parametrize("length", [0, 256])
async def test_idempotency_key_has_the_limits_of_a_message_id(
    api: Api, length: int
) -> None:
    headers = {"idempotency-key": "k" * length}
    response = await api.post(SIGNED_UP, headers=headers)

    assert response.status_code == 422
    assert [e["path"] for e in response.json()["errors"]] == ["Idempotency-Key"]


async def test_context_next_to_a_batch_applies_to_no_event(api: Api) -> None:
    batch = {"batch": many(2), "context": {"group_id": "g", "x": 1}, "timestamp": "x"}
    assert (await answered(api, batch))["stored"] == 2

    rows = await api.rows("SELECT group_id, context FROM events")
    assert {(row.group_id, json.dumps(row.context)) for row in rows} == {(None, "{}")}


async def test_unknown_fields_are_kept_inside_events_and_ignored_outside(
    api: Api,
) -> None:
    properties = SIGNED_UP["properties"] | {"plan": {"seats": [1, 2.5, None]}}
    sent = SIGNED_UP | {"properties": properties, "context": {"ip": "x"}, "extra": 1}
    await answered(api, sent)

    [row] = await api.rows("SELECT * FROM events")
    assert (row.properties, row.context) == (properties, {"ip": "x"})


@pytest.mark.parametrize("zipped", [False, True])
async def test_body_over_256_kib_is_taken_whole(api: Api, *, zipped: bool) -> None:
    body = json.dumps([*many(4_999), BAD]).encode()
    assert len(body) > 3 * 256 * 1024
    answer = await answered(
        api,
        gzip.compress(body) if zipped else body,
        headers={"content-encoding": "gzip"} if zipped else None,
    )

    assert (answer["stored"], answer["rejected"]) == (4_999, 1)
    assert answer["results"][-1]["status"] == "rejected"
    assert await count(api, "events") == 4_999


async def test_oversized_event_is_truncated_and_affects_no_other(
    api: Api,
) -> None:
    large = SIGNED_UP | {"context": {"x": "y" * 200_000}}
    answer = await answered(api, [SIGNED_UP, large])

    assert [r["status"] for r in answer["results"]] == ["stored", "rejected"]
    assert answer["results"][1]["truncated"] is True
    [row] = await api.rows("SELECT * FROM rejected_events")
    assert (row.reason, row.truncated) == ("event_too_large", True)
    assert len(row.payload) == 128 * 1024 < row.payload_bytes


async def test_dry_run_validates_and_writes_nothing(api: Api) -> None:
    await answered(api, SIGNED_UP)
    answer = await answered(api, [SIGNED_UP, BAD], dry_run="true")

    assert (answer["dry_run"], answer["stored"], answer["duplicates"]) == (True, 0, 0)
    assert [r["status"] for r in answer["results"]] == ["valid", "rejected"]
    assert (await api.post(BAD, dry_run="true")).status_code == 422
    assert (await count(api, "events"), await count(api, "rejected_events")) == (1, 0)


async def test_dry_run_gives_the_same_results_as_a_real_request(api: Api) -> None:
    body = [SIGNED_UP | {"timestamp": "20-11-23T22:28:55.111Z"}, BAD]
    dry = await answered(api, body, dry_run="true")
    real = await answered(api, body, dry_run="false")

    assert "dry_run" not in real
    for of_dry, of_real in zip(dry["results"], real["results"], strict=True):
        assert of_dry | {"status": ""} == of_real | {"status": ""}


async def test_other_calls_of_sdks_are_ignored_and_counted(api: Api) -> None:
    batch = {"batch": [{"type": "page"}, SIGNED_UP | {"type": "track"}]}
    answer = await answered(api, batch, path="/v1/track")

    assert (answer["ignored"], answer["stored"], answer["success"]) == (1, 1, True)
    assert [r["status"] for r in answer["results"]] == ["ignored", "stored"]
