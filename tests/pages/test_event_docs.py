"""The documentation of an event says everything that its model says."""

from dataclasses import replace
from typing import Any

import pytest

from app.pages.event_docs import FieldDoc, event_doc
from app.pages.snippets import Snippets
from app.pipeline.codes import ERROR_TEXTS, WARNING_TEXTS
from tests.support.pipeline.verdicts import (
    CATALOG,
    added_user_with,
    rejected,
    stored,
    with_properties,
)

AT = {"timestamp": "2023-11-02T00:30:08.276Z"}


def of(told: list[FieldDoc], name: str) -> FieldDoc:
    [found] = [one for one in told if name in one.names]
    return found


@pytest.mark.parametrize("event", CATALOG)
def test_event_doc_has_each_field_of_the_model_once(event: str) -> None:
    told, kind = event_doc(CATALOG[event]), CATALOG[event]
    properties = kind.model.model_fields["properties"].annotation
    assert properties is not None

    names = [name for one in told.properties for name in one.names]
    assert sorted(names) == sorted(properties.model_fields)
    assert len(told.parameters) == len(kind.model.model_fields)
    for one in told.parameters + told.properties:
        assert one.description
        assert one.kind


@pytest.mark.parametrize("event", CATALOG)
def test_event_doc_required_fields_are_required(event: str) -> None:
    told = event_doc(CATALOG[event])
    required = {one.names[0] for one in told.parameters if one.need == "required"}
    for one in told.parameters:
        full = CATALOG[event].sample | {"group_id": "account_1", "context": None}
        bare = full | dict.fromkeys(one.names)
        if one.names[0] in required:
            assert rejected(bare).errors
        else:
            stored(bare)


@pytest.mark.parametrize("event", CATALOG)
def test_event_doc_recommended_fields_warn_if_absent(event: str) -> None:
    told = event_doc(CATALOG[event])
    recommended = [o.names[0] for o in told.properties if o.need == "recommended"]
    bare = dict.fromkeys(recommended)
    missed = stored(with_properties(CATALOG[event].sample | AT, **bare)).warnings
    assert [issue.path for issue in missed] == [
        f"properties.{name}" for name in recommended
    ]


def test_sample_of_an_event_without_a_pattern_has_a_message_id_of_its_own() -> None:
    event = replace(CATALOG["account_added_user"], message_id=None)
    user, at = event.sample["user_id"], event.sample["timestamp"]

    curl, *_ = Snippets().write(event_doc(event))
    assert f'"account_added_user:{user}:{at}"' in curl.code


@pytest.mark.parametrize(
    ("event", "name", "kind"),
    [
        ("signed_up", "event_name", "`signed_up` or `Signed Up`"),
        ("signed_up", "userId", "text of 1 to 255 characters, or integer"),
        ("signed_up", "originalTimestamp", "text, or number"),
        ("signed_up", "context", "object"),
        ("signed_up", "user_email", "text of at most 254 characters"),
        ("account_added_user", "role", "text of 1 to 255 characters"),
        ("account_added_user", "user_name", "text"),
    ],
)
def test_event_doc_types_are_words(event: str, name: str, kind: str) -> None:
    told = event_doc(CATALOG[event])
    assert of(told.parameters + told.properties, name).kind == kind


def test_event_doc_names_begin_with_the_preferred_one() -> None:
    told = event_doc(CATALOG["account_added_user"])
    assert of(told.parameters, "groupId").names == (
        "context.group_id",
        "context.groupId",
        "group_id",
        "groupId",
    )
    assert of(told.properties, "role").names == ("user_role", "role")


def test_event_doc_lists_only_possible_codes() -> None:
    signed_up, added = (
        event_doc(CATALOG["signed_up"]),
        event_doc(CATALOG["account_added_user"]),
    )
    of_declared = {"value_not_allowed", "value_out_of_range"}
    assert ERROR_TEXTS.keys() - signed_up.errors.keys() == of_declared
    assert signed_up.warnings == added.warnings
    assert WARNING_TEXTS.keys() - added.warnings.keys() == {"undeclared_event"}
    assert ERROR_TEXTS.keys() - added.errors.keys() == {"invalid_email", *of_declared}
    no_email: dict[str, Any] = with_properties(added_user_with(), user_email="none")
    stored(no_email)
