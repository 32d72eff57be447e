import json
from typing import Any

import pytest

from app.pipeline.fields.corrections import Corrections, is_correctable
from app.pipeline.process import process_event
from app.pipeline.record import BodyTraits, Record
from app.pipeline.rejection import Rejection
from tests.support.pipeline.verdicts import (
    POLICY,
    RECEIPT,
    added_user_with,
    signed_up_with,
    told,
)

CORRECTED = "corrected_by_operator"


def replayed(sent: Any, corrections: Corrections) -> Record | Rejection:
    return process_event(
        sent,
        request_context=RECEIPT,
        policy=POLICY,
        body=BodyTraits(plain=True, deep=False, large=False),
        corrections=corrections,
    )


def corrected(sent: dict[str, Any], **fields: str) -> Record:
    names = {name.replace("__", "."): value for name, value in fields.items()}
    verdict = replayed(sent, Corrections(names))
    assert isinstance(verdict, Record), verdict.errors
    assert told(verdict.warnings) == {(CORRECTED, name) for name in names}
    return verdict


def test_placeholder_is_replaced_under_all_its_names() -> None:
    sent = signed_up_with(user_id="undefined", userId="undefined")
    before = json.dumps(sent)
    record = corrected(sent, user_id="u1")
    assert record.user_id == "u1"
    assert record.sent == signed_up_with(user_id="u1")
    assert json.dumps(sent) == before


def test_group_in_the_context_is_replaced() -> None:
    record = corrected(
        added_user_with(context={"groupId": "null", "ip": 1}), group_id="g"
    )
    assert record.group_id == "g"
    assert json.loads(record.context) == {"ip": 1}


def test_property_is_set_beside_the_others() -> None:
    record = corrected(
        signed_up_with(properties={"name": "A"}), properties__email="a@b"
    )
    assert json.loads(record.properties) == {"name": "A", "email": "a@b"}


def test_properties_that_are_no_object_are_replaced() -> None:
    sent = signed_up_with(properties=None)
    verdict = replayed(sent, Corrections({"properties.email": "a@b"}))
    assert isinstance(verdict, Record)
    assert json.loads(verdict.properties) == {"email": "a@b"}


def test_corrected_event_has_the_identity_of_one_sent_so() -> None:
    record = corrected(signed_up_with(user_id="null"), user_id="u1")
    assert record.id == corrected(signed_up_with(), user_id="u1").id


def test_placeholder_is_accepted_with_a_warning() -> None:
    sent = signed_up_with(user_id="null", group_id="none", message_id="nil")
    record = replayed(sent, Corrections(accepts_placeholders=True))
    assert isinstance(record, Record)
    assert (record.user_id, record.group_id) == ("null", "none")
    assert record.message_id is None
    assert told(record.warnings) == {
        (CORRECTED, "user_id"),
        (CORRECTED, "group_id"),
        ("placeholder_ignored", "message_id"),
    }


def test_correction_that_is_wrong_itself_is_rejected() -> None:
    verdict = replayed(signed_up_with(), Corrections({"user_id": "undefined"}))
    assert isinstance(verdict, Rejection)
    assert told(verdict.errors) == {("placeholder_id", "user_id")}


@pytest.mark.parametrize("path", ["", "user", "userId", "context", "context.", "id"])
def test_path_that_names_no_field_cannot_be_corrected(path: str) -> None:
    assert not is_correctable(path)
    with pytest.raises(ValueError, match="no field"):
        replayed(signed_up_with(), Corrections({path: "x"}))
