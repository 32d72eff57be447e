"""Clients without a key, while one sender with a key sends 20 events a second.

The sender is the only client in this process: the attackers run in another. On two
cores they, the service and Postgres share the processors; therefore each row also says
how long the worker and this process waited for one.
"""

from functools import partial
from typing import NamedTuple

import pytest

from tests.faults.conftest import NewRow
from tests.faults.test_clients import p99
from tests.support.faults.actions import lasting
from tests.support.faults.attacks import ATTACKS, PATHS
from tests.support.faults.outsiders import Figures, attacking
from tests.support.faults.processor import Usage, usage
from tests.support.faults.sender import Load
from tests.support.faults.stage import MIB, Stage, Trial

RATE = 20
QUIET_S, ATTACK_S = 2, 6
# Below this, a p99 of the sender is good whatever it was when all was quiet.
GOOD_S = 0.03
# Of the worker's processor time: for a request or connection, and for a KB of it.
CPU_REQUEST_S, CPU_KB_S = 0.0003, 0.001
# What the worker does at times, whoever sends.
CPU_OWN_S = 0.1
MEMORY_MIB = 64
# Longest wait of a sender while nothing else happens.
STEADY_S = 0.1


class Observed(NamedTuple):
    """A part of a row.

    Attributes:
        p99_s: of the sender's requests.
        worker: its use of the processor.
        sender: this process's use of the processor.
    """

    p99_s: float
    worker: Usage
    sender: Usage


def is_steady(load: Load) -> bool:
    """Whether a second's requests were stored without a delay.

    The first ones of a new service on a new database take a second, and longer on a
    busy machine.
    """
    last = load.answers[-RATE:]
    return all(each.status == 200 and each.seconds < STEADY_S for each in last)


async def observe(trial: Trial, stage: Stage, seconds: float) -> Observed:
    """The sender and the processor, for so long."""
    [worker] = stage.pids()
    first = len(trial.load.answers)
    before = usage(worker), usage()
    await lasting(seconds)
    return Observed(
        p99(trial.load, first), usage(worker) - before[0], usage() - before[1]
    )


@pytest.mark.at_length
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ATTACKS)
async def test_outsiders_neither_stop_nor_slow_a_sender(
    stage: Stage, new_row: NewRow, name: str
) -> None:
    row = new_row("O", f"outsiders: {name}, {ATTACKS[name].connections} connections")
    service = stage.start()
    async with stage.trial(row, rate=RATE, warm=RATE) as trial:
        await trial.load.until(partial(is_steady, trial.load), within_s=30)
        failed = trial.failed
        quiet = await observe(trial, stage, QUIET_S)
        async with attacking(name, service.endpoint) as attack:
            busy = await observe(trial, stage, ATTACK_S)
    figures = attack.figures
    spent = busy.worker.cpu_s - quiet.worker.cpu_s * ATTACK_S / QUIET_S
    row.told("requests", in_words(figures))
    row.told(
        "waiting for a processor",
        f"worker {busy.worker.waiting_s:.2f} s, sender {busy.sender.waiting_s:.2f} s"
        f" of {ATTACK_S} s",
    )
    row.seconds("p99 of the sender", busy.p99_s, at_most=max(3 * quiet.p99_s, GOOD_S))
    row.at_most("failed to the sender", trial.failed - failed, 0)
    row.seconds("processor time", max(0.0, spent), at_most=allowed_s(figures))
    row.at_most("memory", trial.memory_peak / MIB, MEMORY_MIB, " MB")
    if name in WITH_STATUS:
        row.holds(
            f"every response is {WITH_STATUS[name]}",
            met=[*figures.statuses] == [WITH_STATUS[name]],
            measured=str(figures.statuses),
        )
    row.settle()


WITH_STATUS = {f"GET {path}": str(status) for path, status in PATHS.items()}


def allowed_s(figures: Figures) -> float:
    """The processor time that the worker may spend on an attack."""
    count = max(figures.requests, figures.connections)
    return count * CPU_REQUEST_S + figures.sent / 1024 * CPU_KB_S + CPU_OWN_S


def in_words(figures: Figures) -> str:
    """The size of an attack."""
    return (
        f"{figures.requests} on {figures.connections} connections,"
        f" {figures.sent / 1024:.0f} KB, {figures.statuses}"
    )
