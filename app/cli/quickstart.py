"""The key of the embedded default, and the lines that try it."""

import asyncio
import json
import shlex
import sys
from functools import partial
from pathlib import Path

from app.events.signed_up import SAMPLE
from app.store.keys import create_key, find_source, hash_key
from app.store.session import in_transaction

SOURCE = "quickstart"


def quickstart_key(url: str, data_dir: Path) -> str:
    """The key in `quickstart.key`, made anew where it is missing or revoked.

    Args:
        url: of the embedded database.
        data_dir: where the file is; only its owner can read it.
    """
    path = data_dir / "quickstart.key"
    if path.exists():
        key = path.read_text().strip()
        find = partial(find_source, key_hash=hash_key(key.encode()))
        if asyncio.run(in_transaction(url, find)) is not None:
            return key
    key = asyncio.run(in_transaction(url, partial(create_key, source=SOURCE)))
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(key + "\n")
    return key


def introduce(*, address: str, key: str) -> str:
    """What a newcomer can paste: an event, and the SQL that shows it.

    Args:
        address: as `http://127.0.0.1:8000`.
        key: a live one.
    """
    curl = [
        "curl", "-sS", f"{address}/track",
        "-H", f"Authorization: Bearer {key}",
        "-H", "Content-Type: application/json",
        "-d", json.dumps(SAMPLE),
    ]  # fmt: skip
    psql = [sys.argv[0], "psql", "-c", "SELECT * FROM signed_up"]
    return f"Send an event:\n  {shlex.join(curl)}\nSee it:\n  {shlex.join(psql)}"
