"""Validators made from the models of events, without building their objects.

Validation only has to find errors, and building a model's object takes longer than all
checks. Each model is turned into a TypedDict of the same fields, which Pydantic checks
by the same rules; a test holds the two equal.
"""

from collections.abc import Callable
from typing import Any, NotRequired, TypeAlias

from pydantic import BaseModel, ConfigDict, TypeAdapter
from typing_extensions import TypedDict

# As a value of any type, because mypy knows only TypedDicts that are written out.
_TYPED_DICT: Any = TypedDict

Validate: TypeAlias = Callable[[dict[str, Any]], object]


def create_validator(model: type[BaseModel]) -> Validate:
    """A function that raises `pydantic.ValidationError` for an object that is invalid.

    The model has fields alone, no validators of its own.
    """
    return TypeAdapter(_typed_dict(model)).validator.validate_python


def _typed_dict(model: type[BaseModel]) -> Any:
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        annotation = field.rebuild_annotation()
        if isinstance(field.annotation, type) and issubclass(
            field.annotation, BaseModel
        ):
            annotation = _typed_dict(field.annotation)
        # The key in the input, which differs from the name where there is an alias.
        key = field.alias or name
        fields[key] = annotation if field.is_required() else NotRequired[annotation]
    made = _TYPED_DICT(model.__name__, fields)
    made.__pydantic_config__ = ConfigDict(strict=True, extra="ignore")
    return made
