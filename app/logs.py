"""Logs: one line for each event of the service's life, and one for each request.

JSON, or plain text on a terminal. No personal data: no body, no key, no id that a
sender chose.
"""

import asyncio
import logging
import sys
from collections.abc import Mapping
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


class TextFormatter(logging.Formatter):
    """A record as plain text for a terminal."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        named = getattr(record, _FIELDS, {})
        at = datetime.fromtimestamp(record.created, UTC)
        line = _text(at, record.levelname.lower(), record.getMessage(), named)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _text(at: datetime, level: str, message: str, named: Mapping[str, object]) -> str:
    parts = (f"{k}={v}" for k, v in named.items() if v is not None)
    line = " ".join((f"{at:%H:%M:%S}", level.ljust(7), message, *parts))
    # A terminal obeys control characters.
    return "".join(c if c.isprintable() else "?" for c in line)


class RequestLog:
    """One line for each request; those of one moment are written in one go.

    The logging module costs more than all the rest of a light request. A line is
    on its way before the loop turns; a process that is killed may lose the last.

    Args:
        stream: binary; each write is flushed.
        enabled: whether lines are written at all.
        is_text: whether lines are plain text instead of JSON.
    """

    def __init__(
        self, stream: BinaryIO, *, enabled: bool, is_text: bool = False
    ) -> None:
        self._stream = stream
        self._is_text = is_text
        self._enabled = enabled
        self._lines: list[bytes] = []
        # The time of the lines that are written in one go, and their beginning.
        self._now = datetime.now(UTC)
        self._head = b""

    def add(self, **values: object) -> None:
        """Add a line with these values, at least one; needs a running event loop."""
        if not self._enabled:
            return
        if not self._lines:
            self._now = datetime.now(UTC)
            head = {"at": self._now, "level": "info", "message": "request"}
            self._head = orjson.dumps(head, option=orjson.OPT_UTC_Z)[:-1] + b","
            asyncio.get_running_loop().call_soon(self._flush)
        if self._is_text:
            line = f"{_text(self._now, 'info', 'request', values)}\n".encode()
        else:
            line = self._head + orjson.dumps(values, option=_LINE)[1:]
        self._lines.append(line)

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        # As the logging module does: where logs cannot go, requests still can.
        with suppress(OSError):
            self._stream.write(b"".join(lines))
            self._stream.flush()


def configure_logs(level: str) -> None:
    """Send all logs of this process to stderr: text on a terminal, else JSON.

    Args:
        level: the least that is logged: debug, info, warning or error.
    """
    handler = logging.StreamHandler(sys.stderr)
    is_text = sys.stderr.isatty()
    handler.setFormatter(TextFormatter() if is_text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Named values for one line: `log.info("text", extra=fields(status=200))`."""
    return {_FIELDS: values}
