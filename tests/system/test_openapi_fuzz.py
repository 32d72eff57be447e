"""OpenAPI tells the truth: whatever it allows is sent, and held against it."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.system.tenant import Tenant

SCHEMATHESIS = Path(sys.executable).with_name("st")
# A schema can say neither that a timestamp is one nor how deep an event is; and
# `/v1/...` answers 200 to what it rejects, on purpose.
UNFIT = "positive_data_acceptance,negative_data_rejection"


@pytest.mark.timeout(120)
def test_the_service_does_what_its_openapi_says(tenant: Tenant, tmp_path: Path) -> None:
    before = len(tenant.service.requests())
    done = subprocess.run(  # noqa: S603 - our own words
        [
            *(SCHEMATHESIS, "run", f"{tenant.service.address}/openapi.json"),
            *("--header", f"Authorization: Bearer {tenant.key}"),
            *("--checks", "all", "--exclude-checks", UNFIT),
            *("--include-path-regex", "^/(track|v1/batch|v1/page|livez|readyz|sch)"),
            *("--max-examples", "15", "--seed", "1", "--generation-database", "none"),
            *("--phases", "examples,coverage,fuzzing", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout
    answered = Counter(
        (line.get("door"), line["status"])
        for line in tenant.service.requests()[before:]
    )
    for door in ("/track", "/v1/batch"):
        assert answered[door, 200] > 20
        for refusal in (400, 401, 405, 415):
            assert answered[door, refusal] > 0
    assert answered["/track", 422] > 20
    [(stored,)] = tenant.rows("SELECT count(*) FROM events WHERE source = :source")
    assert stored > 2
