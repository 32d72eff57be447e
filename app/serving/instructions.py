"""What a parent tells each of its workers."""

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Instructions:
    """What the environment does not say, or not for sure.

    Attributes:
        database_url: with its password, so it is in no one's arguments.
        workers: how many serve.
        metrics_dir: where all of them count.
    """

    database_url: str
    workers: int
    metrics_dir: str | None

    def line(self) -> bytes:
        """As one line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Self:
        """From its line; what this code does not know is passed over."""
        given = json.loads(line)
        return cls(**{name: given[name] for name in cls.__slots__})
