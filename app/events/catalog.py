"""The catalog of event types. A new built-in event is a file here and a line below."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from hashlib import blake2b
from heapq import nlargest
from typing import Any

from typing_extensions import override

from app.events import account_added_user, signed_up
from app.events.declaration import Declaration
from app.events.declared import declared_event_type
from app.events.envelope import Envelope
from app.events.event_type import EventType
from app.events.validator import Validate, create_validator

_MAX_COMPARED_LENGTH = 64
# An exact comparison takes 50 microseconds, and a body may hold 5,000 unknown names.
_MAX_COMPARED_NAMES = 4
_LIKENESS = 0.6  # a ratio of `difflib`; below it two names are not alike


def built_in_catalog() -> "Catalog":
    """The catalog without any declared event."""
    return Catalog((signed_up.EVENT_TYPE, account_added_user.EVENT_TYPE))


class Catalog(Mapping[str, EventType]):
    """All event types that the service accepts, by name.

    `create_app` hands one catalog to everything that depends on events. It can be
    pickled, for the processes that prepare imports. The models of declared events are
    made at first use, so that many declarations do not delay the start.

    Args:
        types: built-in event types, in the order in which pages list them.
        declarations: declared events, which follow them. Names and titles are unique.
        accepts_undeclared: whether events of other names are accepted, too.
    """

    def __init__(
        self,
        types: Iterable[EventType],
        declarations: Iterable[Declaration] = (),
        *,
        accepts_undeclared: bool = False,
    ) -> None:
        self.accepts_undeclared = accepts_undeclared
        self._built_in = tuple(types)
        self.declarations = {each.name: each for each in declarations}
        self._types = {each.name: each for each in self._built_in}
        self._names = (*self._types, *self.declarations)
        self._names_by_title = {each.title: each.name for each in self._built_in}
        for declared in self.declarations.values():
            self._names_by_title[declared.title] = declared.name
        self._validators: dict[str, Validate] = {}
        self._letter_pairs = {name: _letter_pairs(name) for name in self._names}
        # An unknown event is validated against the envelope, to report all errors.
        self._envelope_validator = create_validator(Envelope)

    @override
    def __getitem__(self, name: str) -> EventType:
        event_type = self._types.get(name)
        if event_type is None:
            event_type = declared_event_type(self.declarations[name])
            self._types[name] = event_type
        return event_type

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    @override
    def __len__(self) -> int:
        return len(self._names)

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        make = partial(Catalog, accepts_undeclared=self.accepts_undeclared)
        return make, (self._built_in, tuple(self.declarations.values()))

    @property
    def digest(self) -> str:
        """Digest of the declarations in any order, to compare workers and instances."""
        digests = " ".join(sorted(each.digest for each in self.declarations.values()))
        return blake2b(digests.encode(), digest_size=8).hexdigest()

    def find(self, name: str) -> EventType | None:
        """The event type of this name; None for an unknown name."""
        event_type = self._types.get(name)
        if event_type is None and name in self.declarations:
            return self[name]
        return event_type

    def name_of_title(self, title: str) -> str | None:
        """The name of the event with this title, such as `Signed Up`."""
        return self._names_by_title.get(title)

    def validator(self, name: str) -> Validate:
        """The validator of an event, or of the bare envelope for an unknown name.

        It raises `pydantic.ValidationError`; its result is of no use.
        """
        validate = self._validators.get(name)
        if validate is not None:
            return validate
        if name not in self:
            return self._envelope_validator
        validate = create_validator(self[name].model)
        self._validators[name] = validate
        return validate

    def nearest_name(self, name: str) -> str | None:
        """The known name that is most like this one, if one is like it."""
        folded = name[:_MAX_COMPARED_LENGTH].strip().lower()
        folded = folded.replace(" ", "_").replace("-", "_")
        candidates: Iterable[str] = self._names
        if len(self._names) > _MAX_COMPARED_NAMES:
            pairs = _letter_pairs(folded)
            candidates = nlargest(
                _MAX_COMPARED_NAMES,
                self._names,
                key=lambda known: len(pairs & self._letter_pairs[known]) / len(known),
            )
        near = get_close_matches(folded, candidates, n=1, cutoff=_LIKENESS)
        return near[0] if near else None


def _letter_pairs(name: str) -> set[str]:
    return {name[index : index + 2] for index in range(len(name) - 1)}
