"""Own events of a running service: the tutorial, and reloads of declarations."""

import os
import re
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.docs.markdown import read, section
from tests.support.events.declared import TRIAL, trial_with, write_trial
from tests.support.ports import free_port
from tests.support.postgres.database import Database
from tests.support.service.process import ROLLCALL, Service, environment, until
from tests.system.conftest import Serve

PATIENCE_S = 100
TUTORIAL = section(
    read("docs/own-events.md"), "Tutorial: from an unknown event to a typed view"
)
# A reader waits by looking at the output of the service.
WAIT = "until curl -sf {address}{path} > /dev/null; do sleep 0.1; done\n"
STOP = "trap 'kill %1; wait' EXIT\n"
UNKNOWN = trial_with({"plan": "team", "seats": 5}, group_id="a1")


def tutorial_script(address: str) -> str:
    """The blocks of the tutorial, in order, as one script."""
    steps = [STOP]
    for language, block in re.findall(r"```(sh|toml)\n(.*?)```", TUTORIAL, re.DOTALL):
        if language == "toml":
            steps.append(f"cat > events/invoice_paid.toml <<'END'\n{block}END\n")
            continue
        steps.append(block.replace("http://127.0.0.1:8000", address))
        if "rollcall serve" in block:
            steps.append(WAIT.format(address=address, path="/readyz"))
        if "kill -HUP" in block:
            steps.append(WAIT.format(address=address, path="/events/invoice_paid"))
    return "".join(steps)


@pytest.mark.timeout(180)
def test_tutorial_leads_from_an_unknown_event_to_a_typed_view(tmp_path: Path) -> None:
    port = free_port()
    env = environment(port=str(port), data_dir=".rollcall")
    env["PATH"] = f"{ROLLCALL.parent}{os.pathsep}{env['PATH']}"
    tmp_path.chmod(0o755)
    done = subprocess.run(
        ["/bin/bash", "-emc", tutorial_script(f"http://127.0.0.1:{port}")],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert '"unknown_event"' in done.stdout
    assert "1 stored, 0 already stored, 0 still rejected." in done.stdout
    assert "The view invoice_paid was created" in done.stderr
    assert re.search(r"R-1042 +\| +119\.00? +\| 2026-03-02 09:30:00\+00", done.stdout)


def digest(service: Service) -> str:
    return str(
        httpx.get(f"{service.address}/readyz", timeout=PATIENCE_S).json()[
            "declarations"
        ]
    )


def send(service: Service, key: str) -> int:
    response = httpx.post(
        f"{service.address}/track",
        json=UNKNOWN,
        headers={"authorization": f"Bearer {key}"},
        timeout=PATIENCE_S,
    )
    return response.status_code


def reload_workers(service: Service) -> None:
    before = {*service.workers()}
    service.signal(signal.SIGHUP)
    until(
        lambda: (
            len(service.workers()) == len(before) and not before & {*service.workers()}
        ),
        within_s=PATIENCE_S,
        what="all workers replaced",
    )


@pytest.mark.timeout(300)
def test_reload_hands_the_accepted_declarations_to_every_worker(
    serve: Serve, tmp_path: Path, database: Database
) -> None:
    key = database.key()
    directory = tmp_path / "events"
    directory.mkdir()
    service = serve("--workers", "2", events_dir=str(directory))
    nothing = digest(service)
    assert send(service, key) == 422

    path = write_trial(directory)
    reload_workers(service)
    accepted = digest(service)
    assert accepted != nothing
    assert {send(service, key) for _ in range(20)} == {200}

    # An invalid file changes nothing, and the log has the line.
    write_trial(directory, TRIAL.replace('type = "integer"', 'type = "int"'))
    reload_workers(service)
    assert f"{path}:19: properties.seats.type" in service.log.read_text()
    assert digest(service) == accepted
    # Neither does a crash: the new worker gets the accepted set, not the file.
    [crashed, *_] = service.workers()
    os.kill(crashed, signal.SIGKILL)
    until(
        lambda: len(service.workers()) == 2 and crashed not in service.workers(),
        within_s=PATIENCE_S,
        what="the crashed worker replaced",
    )
    assert {send(service, key) for _ in range(20)} == {200}
    assert {digest(service) for _ in range(20)} == {accepted}


def test_serve_ends_with_the_lines_of_invalid_declarations(
    tmp_path: Path, env: dict[str, str]
) -> None:
    path = write_trial(tmp_path / "events", TRIAL.replace("Number of", "\\u0000"))
    done = subprocess.run(
        [ROLLCALL, "serve", "--port", "0"],
        env=env | environment(events_dir=str(path.parent)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    assert f"{path}:20: properties.seats.description" in done.stderr
