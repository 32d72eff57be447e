"""Description of one type of event, the same for built-in and declared ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.events.envelope import Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One type of event.

    Pydantic models are used as validators only: no model object is ever kept.

    Attributes:
        name: the event's name in snake_case.
        model: validates an event whose fields have canonical names.
        sample: a documented event of this type.
        require_one_of: groups of property names. At least one name of each group
            must be present; the first name is the preferred one.
        synonyms: groups of names of one property, the preferred one first; groups
            of `require_one_of` need not be repeated here.
        recommended: preferred names of properties that senders should provide.
        warns_about_missing: whether an event without a recommended property gets
            the warning `missing_recommended`.
        nouns: type in error messages of properties other than texts.
        title: the name as SDKs of the Segment family write it, such as `Signed Up`;
            by default the name in title case.
        message_id: how senders should build the message id, with the names of
            fields in braces.
        expected: names of properties without one of which the presence of others, or
            a warning, has to be looked for.
    """

    name: str
    model: type[Envelope]
    sample: dict[str, Any]
    require_one_of: tuple[tuple[str, ...], ...] = ()
    synonyms: tuple[tuple[str, ...], ...] = ()
    recommended: tuple[str, ...] = ()
    warns_about_missing: bool = True
    nouns: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    message_id: str | None = None
    expected: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        required = [names[0] for names in self.require_one_of]
        recommended = self.recommended if self.warns_about_missing else ()
        object.__setattr__(self, "expected", (*required, *recommended))
        object.__setattr__(self, "title", self.title or title_of(self.name))


def title_of(name: str) -> str:
    """A name of snake_case in title case."""
    return name.replace("_", " ").title()
