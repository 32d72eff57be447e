from dataclasses import replace

import pytest

from app.events.catalog import Catalog
from tests.support.pipeline.verdicts import (
    CATALOG,
    POLICY,
    added_user_with,
    rejected,
    signed_up_with,
    stored,
    told,
)

ACCEPTING = replace(POLICY, catalog=Catalog(CATALOG.values(), accepts_undeclared=True))


def test_undeclared_event_is_stored_with_a_warning() -> None:
    sent = signed_up_with(event="invoice_paid", properties={"email": 5, "any": [1]})
    record = stored(sent, policy=ACCEPTING)

    assert record.event == "invoice_paid"
    assert told(record.warnings) == {("undeclared_event", "event")}
    assert rejected(sent).reason == "unknown_event"


def test_undeclared_event_has_a_validated_envelope() -> None:
    rejection = rejected(
        {"event": "invoice_paid", "user_id": "", "properties": 5}, policy=ACCEPTING
    )

    assert told(rejection.errors) == {
        ("too_short", "user_id"),
        ("missing_field", "timestamp"),
        ("invalid_type", "properties"),
    }
    assert told(rejection.warnings) == {("undeclared_event", "event")}


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("Invoice Paid", "invoice_paid"),
        ("Signed Up", "signed_up"),
        ("invoicePaid", "invoicePaid"),
        ("invoice paid", "invoice paid"),
        ("数", "数"),
        ("x" * 255, "x" * 255),
    ],
)
def test_only_a_name_in_title_case_is_folded(sent: str, name: str) -> None:
    record = stored(signed_up_with(event=sent), policy=ACCEPTING)

    assert record.event == name
    codes = {warning.code for warning in record.warnings}
    assert ("event_name_folded" in codes) is (sent != name)
    assert ("undeclared_event" in codes) is (name != "signed_up")


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_name_that_is_empty_or_too_long_is_unknown(name: str) -> None:
    assert rejected(signed_up_with(event=name), policy=ACCEPTING).reason == (
        "unknown_event"
    )


def test_known_event_is_validated_as_before() -> None:
    sent = added_user_with(properties={})
    assert rejected(sent, policy=ACCEPTING).errors == rejected(sent).errors
