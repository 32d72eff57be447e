"""Event types that are made from declarations."""

import json
from typing import Any

from pydantic import Field, create_model

from app.events.declaration import Declaration, DeclaredProperty
from app.events.envelope import Envelope, Identifier, Properties
from app.events.event_type import EventType


def declared_event_type(declaration: Declaration) -> EventType:
    """Make the event type of a declaration, with Pydantic models."""
    properties = declaration.properties
    return EventType(
        name=declaration.name,
        title=declaration.title,
        model=_event_model(declaration),
        sample=json.loads(declaration.sample),
        message_id=declaration.message_id or None,
        synonyms=tuple(
            (name, *each.names) for name, each in properties.items() if each.names
        ),
        require_one_of=tuple(
            (name, *each.names) for name, each in properties.items() if each.required
        ),
        recommended=tuple(
            name for name, each in properties.items() if each.recommended
        ),
        warns_about_missing=False,
        nouns={
            known: _noun(each)
            for name, each in properties.items()
            for known in (name, *each.names)
        },
    )


def _event_model(declaration: Declaration) -> type[Envelope]:
    fields: dict[str, Any] = {"properties": (_properties_model(declaration), ...)}
    if declaration.account_required:
        description = Envelope.model_fields["group_id"].description
        fields["group_id"] = (Identifier, Field(description=description))
    return create_model(
        declaration.name,
        __base__=Envelope,
        __doc__=declaration.description,
        __module__=__name__,
        **fields,
    )


def _properties_model(declaration: Declaration) -> type[Properties]:
    """All fields are optional here: `require_one_of` lists the required ones."""
    fields: dict[str, Any] = {}
    for name, declared in declaration.properties.items():
        annotation = declared.property_type.annotate(declared) | None
        for known in (name, *declared.names):
            description = declared.description
            if known != name:
                description = f"Used where `{name}` is absent."
            # Numbered, because a property may be named like a method of BaseModel.
            fields[f"property_{len(fields)}"] = (
                annotation,
                Field(default=None, alias=known, description=description),
            )
    return create_model(
        f"{declaration.name}_properties",
        __doc__=f"Properties of `{declaration.name}`.",
        __base__=Properties,
        __module__=__name__,
        **fields,
    )


def _noun(declared: DeclaredProperty) -> str:
    if declared.type != "enum" or declared.values is None:
        return declared.property_type.noun
    return "one of " + ", ".join(f"`{value}`" for value in declared.values[:20])
