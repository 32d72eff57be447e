"""Which arrivals a watcher wants to see."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from app.store.read.arrival import Arrival


class Filter(NamedTuple):
    """The arrivals that match every given part; without any, all.

    Attributes:
        status: which kind; None for both.
        event: its name.
        source: who sent it.
        user_id: whom it is about.
        group_id: the account that it is about.
    """

    status: Literal["stored", "rejected"] | None = None
    event: str | None = None
    source: str | None = None
    user_id: str | None = None
    group_id: str | None = None

    @property
    def narrow(self) -> bool:
        """Whether it leaves anything out."""
        return any(part is not None for part in self)

    def select(self, arrivals: Iterable[Arrival]) -> list[Arrival]:
        """Those that match, in the same order."""
        wanted = [
            (Arrival._fields.index(name), value)
            for name, value in self._asdict().items()
            if value is not None
        ]
        return [
            arrival
            for arrival in arrivals
            if all(arrival[place] == value for place, value in wanted)
        ]
