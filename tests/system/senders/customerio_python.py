from typing import Any

from customerio.analytics.client import Client
from plan import BASE, KEY, send

failed: list[dict[str, Any]] = []
send(
    Client(KEY, host=BASE, on_error=lambda _, batch: failed.extend(batch)),
    failed,
)
