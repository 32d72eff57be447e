"""Headers for browsers on pages, documents, data, errors and redirects."""

import pytest

from tests.support.app.client import Api


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/docs", 200),
        ("/events", 200),
        ("/live", 303),
        ("/livez", 200),
        ("/metrics", 401),
        ("/nope", 404),
        ("/openapi.json", 200),
        ("/overview", 303),
        ("/schemas", 200),
        ("/sign-in", 200),
        ("/v1/events", 401),
    ],
)
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
async def test_response_has_the_security_headers(
    api: Api, path: str, status: int, accept: str
) -> None:
    del api.client.headers["authorization"]
    response = await api.client.get(path, headers={"accept": accept})

    assert response.status_code == status
    headers = response.headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] in {"no-cache", "no-store"}
