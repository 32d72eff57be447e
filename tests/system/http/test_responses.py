"""No response says more than the tables hold, whatever was sent."""

import json
from pathlib import Path

from tests.support.events.hostile import hostile_lines
from tests.support.service.checker import disagreements
from tests.support.service.tenant import Tenant
from tests.system.http.test_json_suite import files, spliced

PATHS = ("/track", "/v1/batch", "/v1/track")
BATCH = 50


def hostile_bodies(corpora: Path) -> list[bytes]:
    """The corpora as bodies, as values of a property, and as batches."""
    parsing = files(corpora, "test_parsing")
    naughty = json.loads((corpora / "blns" / "blns.json").read_bytes())
    events = [
        {
            "event": "signed_up",
            "user_id": text,
            "message_id": text,
            "timestamp": text if number % 5 == 0 else "2023-11-02T00:30:08.276Z",
            "properties": {"email": "a@b.c", "name": text, text: text},
        }
        for number, text in enumerate(naughty)
    ]
    lines = [*hostile_lines(1_000)]
    return [
        *(file.read_bytes() for file in parsing),
        *map(spliced, parsing),
        *(
            json.dumps({"batch": events[at : at + BATCH]}).encode()
            for at in range(0, len(events), BATCH)
        ),
        *(
            f"[{','.join(lines[at : at + BATCH])}]".encode()
            for at in range(0, len(lines), BATCH)
        ),
    ]


def test_responses_to_all_corpora_agree_with_the_tables(
    tenant: Tenant, corpora: Path
) -> None:
    responses = [
        tenant.post(body, path=PATHS[number % len(PATHS)])
        for number, body in enumerate(hostile_bodies(corpora) * 2)
    ]

    assert {response.status_code for response in responses} >= {200, 400, 422}
    found = disagreements(tenant, ((r.status_code, r.content) for r in responses))
    assert found == []


def test_checker_finds_statements_that_are_false(tenant: Tenant) -> None:
    result = {"index": 0, "id": "00000000-0000-8000-8000-000000000000"}
    counts = {"stored": 1, "duplicates": 0, "rejected": 0}
    stored = {"success": True, "results": [result | {"status": "stored"}]} | counts
    rejected = stored | {"results": [result | {"status": "rejected"}]}

    found = disagreements(
        tenant, [(200, json.dumps(stored)), (422, json.dumps(rejected)), (500, "")]
    )

    assert [text.split(":")[0] for text in found] == [
        "not in events",
        "counts are not those of the results",
        "success is not true of every event",
        "not in rejected_events",
        "500",
    ]
