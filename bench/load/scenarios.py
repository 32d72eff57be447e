"""What is measured."""

from dataclasses import dataclass
from typing import Literal

from bench.baselines.direct import BATCH
from bench.baselines.ways import Way
from bench.database import Server
from bench.load.bodies import Requests, write_requests

WARM_UP_S = 1
# Of the rate at saturation: what an open loop asks for.
HALF = 0.5
# In flight at saturation, by events in a body.
CONNECTIONS = {1: 128, 10: 64, 100: 32}
# More requests a second than any run will see, by events in a body.
CAPACITY = {1: 80_000, 10: 10_000, 100: 1_200}

Kind = Literal["rollcall", "baseline", "echo"] | Way


@dataclass(frozen=True, slots=True)
class Scenario:
    """One line of the table.

    Attributes:
        kind: what is measured.
        workers: its processes.
        batch: events in a body, or in a transaction.
        half: whether latency is measured at half of saturation, too.
    """

    kind: Kind
    workers: int
    batch: int = 1
    half: bool = False

    @property
    def name(self) -> str:
        """As the results name it."""
        return f"{self.kind} w{self.workers} b{self.batch}"


SCENARIOS = (
    Scenario("baseline", 1),
    Scenario("echo", 1),
    *(
        Scenario("rollcall", workers, batch, half=True)
        for batch in (1, 10, 100)
        for workers in (1, 2)
    ),
    Scenario("insert", 1, BATCH),
    Scenario("insert", 2, BATCH),
    Scenario("statement", 1, BATCH),
    Scenario("statement", 2, BATCH),
    Scenario("copy", 2, BATCH),
)


def make_files(server: Server, seconds: int) -> dict[int, Requests]:
    """The requests of all runs, by events in a body.

    The runs share them: each has a database that knows none of them.

    Args:
        server: keeps them in its directory.
        seconds: of each measurement.
    """
    return {
        batch: write_requests(
            server.directory / f"requests-{batch}",
            key=server.key,
            count=capacity * WARM_UP_S + round(capacity * (1 + HALF) * seconds),
            batch=batch,
        )
        for batch, capacity in CAPACITY.items()
    }
