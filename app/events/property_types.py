"""The table of property types: a Pydantic field and a column for each."""

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import partial
from types import GenericAlias
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    FiniteFloat,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from app.events.signed_up import Email

LIST_PREFIX = "list of "
INVALID_TIMESTAMP = "invalid_timestamp"
_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)

Count = Annotated[int, Field(ge=0, le=1_000_000)]
_Number = int | FiniteFloat
_NUMBER_CLASSES = frozenset({int, float, Decimal})


class Limits(BaseModel):
    """Limits of a declared property; which ones apply depends on its type."""

    min_length: Count | None = Field(
        default=None, description="Least number of characters of a text."
    )
    max_length: Count | None = Field(
        default=None, description="Greatest number of characters of a text."
    )
    minimum: _Number | None = Field(
        default=None, description="Least value of an integer or a number."
    )
    maximum: _Number | None = Field(
        default=None, description="Greatest value of an integer or a number."
    )
    min_items: Count | None = Field(
        default=None, description="Least number of items of a list."
    )
    max_items: Count | None = Field(
        default=None, description="Greatest number of items of a list."
    )
    values: list[Annotated[str, Field(min_length=1, max_length=255)]] | None = Field(
        default=None,
        min_length=1,
        max_length=1_000,
        description="Allowed values of an enum.",
    )


class PropertyType(NamedTuple):
    """One type that a declared property can have.

    Attributes:
        noun: the type in error messages, such as `an integer`.
        plural: the type as items of a list, such as `integers`.
        column: Postgres type of its column in the typed view.
        limits: names of the limits that apply to it.
        annotate: makes the Pydantic annotation from the limits.
    """

    noun: str
    plural: str
    column: Literal["text", "numeric", "boolean", "timestamptz", "jsonb"]
    limits: frozenset[str]
    annotate: Callable[[Limits], Any]


def find_property_type(name: str) -> PropertyType:
    """The property type of one of `type_names`, such as `list of integer`."""
    item = PROPERTY_TYPES[name.removeprefix(LIST_PREFIX)]
    return _list_of(item) if name.startswith(LIST_PREFIX) else item


def type_names() -> list[str]:
    """The names of all types: `text`, ..., `list of text`, ..."""
    return [*PROPERTY_TYPES, *(LIST_PREFIX + name for name in PROPERTY_TYPES)]


def _text(limits: Limits) -> Any:
    return Annotated[
        str, Field(min_length=limits.min_length, max_length=limits.max_length)
    ]


def _number(limits: Limits, *, whole: bool) -> Any:
    bounds = {"minimum": limits.minimum, "maximum": limits.maximum}
    schema: dict[str, Any] = {"type": "integer" if whole else "number"}
    schema |= {name: value for name, value in bounds.items() if value is not None}
    return Annotated[Any, _number_check(limits, whole=whole), WithJsonSchema(schema)]


def _enum(limits: Limits) -> Any:
    # Literal takes its values from a tuple, which a type checker cannot follow.
    return Literal.__getitem__(tuple(limits.values or ()))


def _list_of(item: PropertyType) -> PropertyType:
    def annotate(limits: Limits) -> Any:
        return Annotated[
            GenericAlias(list, item.annotate(limits)),
            Field(min_length=limits.min_items, max_length=limits.max_items),
        ]

    return PropertyType(
        f"a list of {item.plural}",
        f"lists of {item.plural}",
        "jsonb",
        item.limits | {"min_items", "max_items"},
        annotate,
    )


def _number_check(limits: Limits, *, whole: bool) -> PlainValidator:
    """Require a JSON number within the limits; 1.0 is a whole number."""
    minimum, maximum = limits.minimum, limits.maximum

    def check(value: Any) -> Any:
        kind = type(value)
        if kind is not int and (
            kind not in _NUMBER_CLASSES or (whole and value % 1 != 0)
        ):
            raise PydanticCustomError("number_type", "not a number of this type")
        if minimum is not None and value < minimum:
            raise PydanticCustomError(
                "greater_than_equal", "too small", {"ge": minimum}
            )
        if maximum is not None and value > maximum:
            raise PydanticCustomError("less_than_equal", "too large", {"le": maximum})
        return value

    return PlainValidator(check)


def _check_rfc_3339(text: str) -> str:
    """Require a date and time that exist, with an offset. A leap second exists."""
    error = PydanticCustomError(INVALID_TIMESTAMP, "no RFC 3339 with an offset")
    if _RFC_3339.fullmatch(text) is None:
        raise error
    second = "59" if text[17:19] == "60" else text[17:19]
    try:
        datetime.fromisoformat(f"{text[:17]}{second}{text[19:].upper()}")
    except ValueError:
        raise error from None
    return text


_Timestamp = Annotated[
    str,
    AfterValidator(_check_rfc_3339),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
_LENGTH = frozenset({"min_length", "max_length"})
_RANGE = frozenset({"minimum", "maximum"})
_NONE: frozenset[str] = frozenset()

PROPERTY_TYPES = {
    "text": PropertyType("text", "texts", "text", _LENGTH, _text),
    "email": PropertyType("an email", "emails", "text", _NONE, lambda _: Email),
    "integer": PropertyType(
        "an integer", "integers", "numeric", _RANGE, partial(_number, whole=True)
    ),
    "number": PropertyType(
        "a number", "numbers", "numeric", _RANGE, partial(_number, whole=False)
    ),
    "boolean": PropertyType(
        "true or false", "booleans", "boolean", _NONE, lambda _: bool
    ),
    "timestamp": PropertyType(
        "a timestamp", "timestamps", "timestamptz", _NONE, lambda _: _Timestamp
    ),
    "object": PropertyType(
        "an object", "objects", "jsonb", _NONE, lambda _: dict[str, Any]
    ),
    "enum": PropertyType("text", "texts", "text", frozenset({"values"}), _enum),
}
