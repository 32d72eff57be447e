"""Keys of the embedded default, and the lines that show how to try it."""

import asyncio
import json
import shlex
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from app.events.signed_up import SAMPLE
from app.files import replace_file
from app.store.keys.codes import StartingKeys, starting_keys
from app.store.operator_session import in_operator_transaction

SOURCE = "quickstart"


def quickstart_message(
    url: str, data_dir: Path, *, address: str, is_terminal: bool
) -> str:
    """Return lines to paste: an event, the SQL that shows it, and a link to sign in.

    The keys lie in `quickstart.key` and `quickstart-read.key`, created again if they
    are missing or revoked, and the link in `sign-in-link`. Only the owner can read
    these files.

    Args:
        url: URL of the embedded database.
        data_dir: data directory.
        address: base URL of the service, such as `http://127.0.0.1:8000`.
        is_terminal: whether secrets may be shown; other outputs end up in log files,
            so they get the paths of the files instead.
    """
    data_dir = data_dir.absolute()
    paths = [data_dir / "quickstart.key", data_dir / "quickstart-read.key"]
    kept = [path.read_text().strip() if path.exists() else "" for path in paths]
    ask = partial(starting_keys, source=SOURCE, write=kept[0], read=kept[1])
    keys: StartingKeys = asyncio.run(in_operator_transaction(url, ask))
    for path, old, new in zip(paths, kept, (keys.write, keys.read), strict=True):
        if new != old:
            replace_file(path, f"{new}\n".encode())
    link = f"{address}/sign-in?code={keys.code}"
    link_file = data_dir / "sign-in-link"
    replace_file(link_file, f"{link}\n".encode())
    command = _absolute(sys.argv[0])
    psql = [command, "psql", "-c", "SELECT * FROM signed_up"]
    key = keys.write if is_terminal else f"$(cat {shlex.quote(str(paths[0]))})"
    return (
        f"Send an event:\n  curl -sS {address}/track "
        f'-H "Authorization: Bearer {key}" -H "Content-Type: application/json" '
        f"-d {shlex.quote(json.dumps(_sample_of_today()))}\n"
        f"See it:\n  ROLLCALL_DATA_DIR={shlex.quote(str(data_dir))} "
        f"{shlex.join(psql)}\n"
        "See it in a browser (the link works once, within the hour):\n"
        f"  {link if is_terminal else f'the link is in {link_file}'}"
    )


def _sample_of_today() -> dict[str, Any]:
    """The documented sample with the time of now, and a message id of its own."""
    now = datetime.now(UTC).replace(microsecond=0)
    times = {"timestamp": now.isoformat().replace("+00:00", "Z")}
    return {**SAMPLE, **times, "message_id": f"quickstart-{uuid4()}"}


def _absolute(program: str) -> str:
    """Return a path that works in every directory; a bare name is found on PATH."""
    return str(Path(program).absolute()) if "/" in program else program
