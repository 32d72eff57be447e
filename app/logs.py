"""JSON logs: one line an event of the service's life, one canonical line a request.

No personal data: no body, no key, no id that a sender chose.
"""

import asyncio
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, BinaryIO

import orjson
from typing_extensions import override

_FIELDS = "rollcall_fields"
_LINE = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE


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


class RequestLog:
    """One line for each request; those of one moment are written in one go.

    The logging module costs more than all the rest of a light request. A line is
    on its way before the loop turns; a process that is killed may lose the last.

    Args:
        stream: binary; each write is flushed.
        enabled: whether lines are written at all.
    """

    def __init__(self, stream: BinaryIO, *, enabled: bool) -> None:
        self._stream = stream
        self._enabled = enabled
        self._lines: list[bytes] = []

    def add(self, **values: object) -> None:
        """Add a line with these values; needs a running event loop."""
        if not self._enabled:
            return
        line = {"at": datetime.now(UTC), "level": "info", "message": "request"}
        self._lines.append(orjson.dumps(line | values, option=_LINE))
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        # As the logging module does: where logs cannot go, requests still can.
        with suppress(OSError):
            self._stream.write(b"".join(lines))
            self._stream.flush()


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
