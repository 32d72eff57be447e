"""JSON logs: one line an event of the service's life, one canonical line a request.

No personal data: no body, no key, no id that a sender chose.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson
from typing_extensions import override

_FIELDS = "rollcall_fields"


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON, whatever it holds."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z).decode()


def configure_logs(level: str) -> None:
    """Send all logs of this process to stderr as JSON.

    Args:
        level: the least that is logged: debug, info, warning or error.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Named values for one line: `log.info("text", extra=fields(status=200))`."""
    return {_FIELDS: values}
