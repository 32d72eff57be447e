"""The catalog of event types. A new built-in event is a file here and a line below."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from heapq import nlargest
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import override

from app.events import account_added_user, signed_up
from app.events.envelope import Envelope
from app.events.event_type import EventType

_MAX_COMPARED_LENGTH = 64
# An exact comparison takes 50 microseconds, and a body may hold 5,000 unknown names.
_MAX_COMPARED_NAMES = 4


def built_in_catalog() -> "Catalog":
    """The catalog without any declared event."""
    return Catalog((signed_up.EVENT_TYPE, account_added_user.EVENT_TYPE))


class Catalog(Mapping[str, EventType]):
    """All event types that the service accepts, by name.

    `create_app` hands one catalog to everything that depends on events. It can be
    pickled, for the processes that prepare imports.

    Args:
        types: in the order in which pages and documents list them.
    """

    def __init__(self, types: Iterable[EventType]) -> None:
        self._types = {each.name: each for each in types}
        self._names_by_title = {each.title: each.name for each in self._types.values()}
        self._validators = {
            each.name: TypeAdapter(each.model).validator.validate_python
            for each in self._types.values()
        }
        self._letter_pairs = {name: _letter_pairs(name) for name in self._types}
        # An unknown event is validated against the envelope, to report all errors.
        self._envelope_validator = TypeAdapter(Envelope).validator.validate_python

    @override
    def __getitem__(self, name: str) -> EventType:
        return self._types[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    @override
    def __len__(self) -> int:
        return len(self._types)

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return Catalog, (tuple(self._types.values()),)

    def name_of_title(self, title: str) -> str | None:
        """The name of the event with this title, such as `Signed Up`."""
        return self._names_by_title.get(title)

    def validator(self, name: str) -> Callable[[dict[str, Any]], object]:
        """The validator of an event, or of the bare envelope for an unknown name.

        It raises `pydantic.ValidationError`; its result is of no use.
        """
        return self._validators.get(name, self._envelope_validator)

    def nearest_name(self, name: str) -> str:
        """The known name that is most like this one."""
        folded = name[:_MAX_COMPARED_LENGTH].strip().lower()
        folded = folded.replace(" ", "_").replace("-", "_")
        candidates: Iterable[str] = self._types
        if len(self._types) > _MAX_COMPARED_NAMES:
            pairs = _letter_pairs(folded)
            candidates = nlargest(
                _MAX_COMPARED_NAMES,
                self._types,
                key=lambda known: len(pairs & self._letter_pairs[known]) / len(known),
            )
        return get_close_matches(folded, candidates, n=1, cutoff=0.0)[0]


def _letter_pairs(name: str) -> set[str]:
    return {name[index : index + 2] for index in range(len(name) - 1)}
