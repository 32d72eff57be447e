"""What a request says beside its body."""

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qs

from app.errors import InvalidParameterError

Scope = MutableMapping[str, Any]


def idempotency_key(headers: dict[bytes, bytes]) -> str | None:
    """The header `Idempotency-Key`; what in it is not UTF-8 becomes surrogates.

    No id may hold one of those, so such a key rejects its event and is named.
    """
    key = headers.get(b"idempotency-key")
    return None if key is None else key.decode(errors="surrogateescape")


def is_dry_run(query: bytes) -> bool:
    """Whether the query asks to judge and to store nothing.

    Raises:
        InvalidParameterError: `dry_run` is neither true nor false.
    """
    if not query:
        return False
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("dry_run")
    match values:
        case None | ["false"]:
            return False
        case ["true"]:
            return True
        case _:
            raise InvalidParameterError("dry_run is either true or false.")
