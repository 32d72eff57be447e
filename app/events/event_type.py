"""Description of one type of event, the same for built-in and declared ones."""

from dataclasses import dataclass
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
        recommended: preferred names of properties that senders should provide.
        warns_about_missing: whether an event without a recommended property gets
            the warning `missing_recommended`.
    """

    name: str
    model: type[Envelope]
    sample: dict[str, Any]
    require_one_of: tuple[tuple[str, ...], ...] = ()
    recommended: tuple[str, ...] = ()
    warns_about_missing: bool = True

    @property
    def title(self) -> str:
        """The name as SDKs of the Segment family write it, such as `Signed Up`."""
        return self.name.replace("_", " ").title()
