"""The keys of the embedded default, and the lines that try it."""

import asyncio
import json
import shlex
import sys
from functools import partial
from pathlib import Path

from app.events.signed_up import SAMPLE
from app.store.keys.codes import StartingKeys, starting_keys
from app.store.operator_session import in_operator_transaction

SOURCE = "quickstart"
_LINK_HINT = "See it in a browser (the link works once, within the hour):"


def introduce(url: str, data_dir: Path, *, address: str) -> str:
    """What a newcomer can paste: an event, the SQL that shows it, and a way in.

    Args:
        url: of the embedded database.
        data_dir: keeps the keys in `quickstart.key` and `quickstart-read.key`, made
            anew where they are missing or revoked; only its owner can read them.
        address: as `http://127.0.0.1:8000`.
    """
    paths = [data_dir / "quickstart.key", data_dir / "quickstart-read.key"]
    kept = [path.read_text().strip() if path.exists() else "" for path in paths]
    ask = partial(starting_keys, source=SOURCE, write=kept[0], read=kept[1])
    keys: StartingKeys = asyncio.run(in_operator_transaction(url, ask))
    for path, old, new in zip(paths, kept, (keys.write, keys.read), strict=True):
        if new != old:
            _keep(path, new)
    curl = [
        "curl", "-sS", f"{address}/track",
        "-H", f"Authorization: Bearer {keys.write}",
        "-H", "Content-Type: application/json",
        "-d", json.dumps(SAMPLE),
    ]  # fmt: skip
    psql = [sys.argv[0], "psql", "-c", "SELECT * FROM signed_up"]
    return (
        f"Send an event:\n  {shlex.join(curl)}\n"
        f"See it:\n  {shlex.join(psql)}\n"
        f"{_LINK_HINT}\n  {address}/sign-in?code={keys.code}"
    )


def _keep(path: Path, key: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(key + "\n")
