"""OpenAPI tells the truth: whatever it allows is sent, and held against it."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.service.tenant import Tenant

SCHEMATHESIS = Path(sys.executable).with_name("st")
# A schema can say neither that a timestamp is one nor how deep an event is; and
# `/v1/...` answers 200 to rejected events, on purpose.
UNFIT = "positive_data_acceptance,negative_data_rejection"


def fuzz(
    tenant: Tenant, paths: str, *, key: str, cwd: Path, examples: int = 15
) -> Counter[tuple[object, object]]:
    """Send valid and invalid requests by OpenAPI; counts responses by route and status.

    Args:
        tenant: has the service.
        paths: a regular expression.
        key: is sent along.
        cwd: is written to.
        examples: of each route.
    """
    before = len(tenant.service.requests())
    done = subprocess.run(
        [
            *(SCHEMATHESIS, "run", f"{tenant.service.address}/openapi.json"),
            *("--header", f"Authorization: Bearer {key}"),
            *("--checks", "all", "--exclude-checks", UNFIT),
            *("--include-path-regex", paths),
            *("--max-examples", str(examples), "--seed", "1"),
            *("--generation-database", "none"),
            *("--phases", "examples,coverage,fuzzing", "--no-color"),
            # Hints, such as that most responses were 4xx, depend on the time.
            *("--warnings", "off"),
        ],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout
    return Counter(
        (line.get("route"), line["status"])
        for line in tenant.service.requests()[before:]
    )


@pytest.mark.timeout(120)
def test_service_matches_its_openapi(tenant: Tenant, tmp_path: Path) -> None:
    answered = fuzz(
        tenant,
        "^/(track|v1/batch|v1/page|livez|readyz|sch)",
        key=tenant.key,
        cwd=tmp_path,
    )

    for route in ("/track", "/v1/batch"):
        assert answered[route, 200] > 20
        for refusal in (400, 401, 405, 415):
            assert answered[route, refusal] > 0
    assert answered["/track", 422] > 20
    [(stored,)] = tenant.rows("SELECT count(*) FROM events WHERE source = :source")
    assert stored > 2


@pytest.mark.timeout(120)
def test_read_api_matches_openapi(tenant: Tenant, tmp_path: Path) -> None:
    for timestamp in ("2023-11-02", "yesterday"):
        event = {
            "event": "signed_up",
            "user_id": "u",
            "timestamp": timestamp,
            "properties": {"email": "a@b.c"},
        }
        assert tenant.post(json.dumps(event).encode()).status_code in {200, 422}

    answered = fuzz(
        tenant,
        "^/v1/(events|rejected)",
        key=tenant.database.key("ann", scope="read"),
        cwd=tmp_path,
        examples=8,
    )

    for status in (200, 400, 401, 404, 405):
        assert answered[None, status] > 5, answered
    assert not [status for _, status in answered if status in {422, 500, 503}]
