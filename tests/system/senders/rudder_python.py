from typing import Any

from plan import BASE, KEY, send
from rudderstack.analytics.client import Client

failed: list[dict[str, Any]] = []
send(
    Client(KEY, host=BASE, on_error=lambda _, batch: failed.extend(batch)),
    failed,
)
