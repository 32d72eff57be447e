"""The validators without objects report exactly the errors of the models."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from app.events.catalog import Catalog, built_in_catalog
from app.events.envelope import Envelope
from app.events.validator import Validate, create_validator
from app.pipeline.fields.canonical import canonicalise
from tests.docs.test_docs import DECLARED
from tests.support.pipeline.json_strategies import (
    canonical_events,
    mutated_events,
    odd_values,
)

CATALOG = Catalog(built_in_catalog().values(), [DECLARED])
MODELS: list[type[BaseModel]] = [
    Envelope,
    *(event_type.model for event_type in CATALOG.values()),
]
BY_MODEL = [TypeAdapter(model).validator.validate_python for model in MODELS]
WITHOUT_OBJECTS = [create_validator(model) for model in MODELS]


def errors(validate: Validate, fields: dict[str, Any]) -> list[tuple[Any, ...]]:
    try:
        validate(fields)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        # Differences: a model reports a value that is no object by its name.
        return [
            ("dict_type", detail["loc"], None)
            if detail["type"] == "model_type"
            else (detail["type"], detail["loc"], detail.get("ctx"))
            for detail in details
            # A model also reports lone surrogates in keys, which cleaning has replaced.
            if detail["type"] != "string_unicode" or len(detail["loc"]) > 1
        ]
    return []


def has_surrogate_key(value: object) -> bool:
    """Whether a key holds a lone surrogate; cleaning has replaced such keys.

    A model reports the key alone, and nothing else of the object.
    """
    return isinstance(value, dict) and any(
        "\ud800" <= character <= "\udfff" for key in value for character in key
    )


def assert_equal_errors(fields: dict[str, Any]) -> None:
    assume(not has_surrogate_key(fields.get("properties")))
    for by_model, without in zip(BY_MODEL, WITHOUT_OBJECTS, strict=True):
        assert repr(errors(without, fields)) == repr(errors(by_model, fields))


def names_of(model: type[BaseModel]) -> set[str]:
    properties: Any = model.model_fields["properties"].annotation
    return (
        {field.alias or name for name, field in properties.model_fields.items()}
        if properties is not dict
        else set()
    )


@given(st.one_of(canonical_events(), mutated_events()))
def test_errors_of_an_event_are_those_of_its_model(event: Any) -> None:
    if isinstance(event, dict):
        assert_equal_errors(canonicalise(event).fields)


PROPERTIES = sorted(set().union(*map(names_of, MODELS)))


@given(
    st.dictionaries(st.sampled_from(sorted(Envelope.model_fields)), odd_values()),
    st.dictionaries(st.sampled_from(PROPERTIES), odd_values()),
    st.sampled_from([*CATALOG, "other"]),
)
def test_errors_of_odd_values_are_those_of_the_model(
    fields: dict[str, Any], properties: dict[str, Any], event: str
) -> None:
    assert_equal_errors(fields)
    assert_equal_errors(fields | {"event": event, "properties": properties})


@pytest.mark.parametrize("model", MODELS)
def test_model_has_no_validator_that_would_be_lost(model: type[BaseModel]) -> None:
    for each in model.__mro__:
        own = vars(each).get("__pydantic_decorators__")
        if own is not None:
            assert not any((own.validators, own.field_validators, own.root_validators))
            assert not own.model_validators
