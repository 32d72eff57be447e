"""`Declaration`: an event that an operator declares in a file."""

import hashlib
import json
import re
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from app.events.event_type import title_of
from app.events.property_types import (
    Limits,
    PropertyType,
    find_property_type,
    type_names,
)
from app.events.reserved_names import why_reserved

MAX_PROPERTIES = 200
_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Fields that a message id pattern may name, in addition to `properties.NAME`.
_PATTERN_FIELDS = frozenset({"event", "user_id", "group_id", "timestamp"})
_SAMPLE_FIELDS = {
    "user_id": str,
    "timestamp": str,
    "message_id": str,
    "properties": dict,
}
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
# Neither control characters nor those that change the direction of text.
_NO_CONTROL_CHARACTERS = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$"


def _check_name(name: str) -> str:
    reason = why_reserved(name)
    if reason is not None:
        raise ValueError(reason)
    return name


def _check_type(name: str) -> str:
    if name not in type_names():
        known = ", ".join(name for name in type_names() if " " not in name)
        raise ValueError(f"Unknown type. Known are {known}, and `list of` each.")
    return name


Description = Annotated[
    str, Field(min_length=1, max_length=4_000, pattern=_NO_CONTROL_CHARACTERS)
]
EventName = Annotated[
    str,
    Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=63),
    AfterValidator(_check_name),
]
PropertyName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=63)]
OtherName = Annotated[
    str, Field(min_length=1, max_length=255, pattern=_NO_CONTROL_CHARACTERS)
]


class DeclaredProperty(Limits):
    """One declared property of an event."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    type: Annotated[
        str,
        AfterValidator(_check_type),
        WithJsonSchema({"type": "string", "enum": type_names()}),
    ] = Field(description="What the value is. An integer may be sent as 1.0.")
    description: Description = Field(description="What the property says.")
    required: bool = Field(
        default=False, description="Whether an event without it is rejected."
    )
    recommended: bool = Field(
        default=False,
        description="Whether senders should provide it. This is documentation only.",
    )
    names: list[OtherName] = Field(
        default=[],
        max_length=20,
        description="Alternative names, used in this order where the property is "
        "absent.",
    )

    @property
    def property_type(self) -> PropertyType:
        """The row of the table of property types."""
        return find_property_type(self.type)

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        given = {
            name for name in Limits.model_fields if getattr(self, name) is not None
        }
        misplaced = sorted(given - self.property_type.limits)
        if misplaced:
            raise ValueError(
                f"`{misplaced[0]}` does not apply to the type `{self.type}`."
            )
        if self.values is None and "values" in self.property_type.limits:
            raise ValueError("An enum needs `values`.")
        if self.values is not None and len({*self.values}) < len(self.values):
            raise ValueError("`values` holds a value twice.")
        for least, greatest in (
            ("min_length", "max_length"),
            ("minimum", "maximum"),
            ("min_items", "max_items"),
        ):
            low, high = getattr(self, least), getattr(self, greatest)
            if low is not None and high is not None and low > high:
                raise ValueError(f"`{least}` is greater than `{greatest}`.")
        if self.required and self.recommended:
            raise ValueError("A property is either required or recommended.")
        return self


class Declaration(BaseModel):
    """One event, as an operator declares it."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, title="Rollcall event declaration"
    )

    name: EventName = Field(description="The event's name, in snake_case.")
    sdk_title: Annotated[
        str, Field(min_length=1, max_length=100, pattern=_NO_CONTROL_CHARACTERS)
    ] = Field(
        default="",
        alias="title",
        description="The name as SDKs send it, such as `Trial Started`; accepted with "
        "a warning. By default the name in title case.",
    )
    description: Description = Field(
        description="What the event means and when to send it. An empty line begins "
        "a paragraph."
    )
    account_required: bool = Field(
        default=False, description="Whether an event without a group id is rejected."
    )
    message_id: Annotated[
        str, Field(min_length=1, max_length=255, pattern=_NO_CONTROL_CHARACTERS)
    ] = Field(
        default="",
        description="How senders should build the message id, such as "
        "`{event}:{group_id}:{properties.plan}`. This is documentation only.",
    )
    sample: Annotated[str, Field(min_length=2, max_length=64 * 1024)] = Field(
        description="A complete event as JSON text."
    )
    properties: dict[PropertyName, DeclaredProperty] = Field(
        default={},
        max_length=MAX_PROPERTIES,
        description="The declared properties. Others are kept as sent.",
    )

    @property
    def digest(self) -> str:
        """A short digest of everything in the declaration."""
        text = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def title(self) -> str:
        """The name as SDKs send it."""
        return self.sdk_title or title_of(self.name)

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        owners: dict[str, str] = {}
        for owner, declared in self.properties.items():
            for name in (owner, *declared.names):
                if name in owners:
                    raise ValueError(
                        f"The property `{owner}` has the name `{name}`, which"
                        f" `{owners[name]}` has already."
                    )
                owners[name] = owner
        return self

    @model_validator(mode="after")
    def _check_sample(self) -> Self:
        """Require the fields that pages and code samples show."""
        try:
            sample = json.loads(self.sample)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"`sample` is not JSON: {error}") from error
        if not isinstance(sample, dict) or sample.get("event") != self.name:
            raise ValueError(
                f"`sample` must be a JSON object of the event {self.name}."
            )
        problems = [
            f"`sample` needs `{name}`."
            for name, kind in _SAMPLE_FIELDS.items()
            if not isinstance(sample.get(name), kind)
        ]
        if not isinstance(sample.get("context", {}), dict):
            problems.append("`sample` has a `context` that is not an object.")
        if problems:
            raise ValueError(" ".join(problems))
        return self

    @model_validator(mode="after")
    def _check_message_id(self) -> Self:
        for field in _PLACEHOLDER.findall(self.message_id):
            name = field.removeprefix("properties.")
            is_property = name != field and name in self.properties
            if not is_property and field not in _PATTERN_FIELDS:
                raise ValueError(
                    f"`message_id` names `{{{field}}}`. It may name"
                    f" {', '.join(sorted(_PATTERN_FIELDS))}, and declared properties"
                    " as `properties.NAME`."
                )
        return self


def declaration_schema() -> dict[str, Any]:
    """JSON Schema of a declaration, by which editors complete and check files."""
    return {"$schema": _SCHEMA_DIALECT, **Declaration.model_json_schema()}
