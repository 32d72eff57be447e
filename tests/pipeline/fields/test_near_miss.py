from typing import Any

import pytest

from tests.support.pipeline.verdicts import rejected, signed_up_with, without

ROLE = {"event": "account_added_user", "properties": {"role": "admin"}}


@pytest.mark.parametrize(
    ("missing", "changes", "near"),
    [
        ("user_id", {"userID": "u"}, "userID"),
        ("user_id", {"UserId": "u"}, "UserId"),
        ("user_id", {"usr_id": "u"}, "usr_id"),
        ("user_id", {"uid": "u"}, "uid"),
        (
            "user_id",
            {"properties": {"email": "a@b", "user_id": 1}},
            "properties.user_id",
        ),
        ("event", {"Event": "signed_up"}, "Event"),
        ("event", {"eventName": "signed_up"}, "eventName"),
        ("timestamp", {"time": "2023-11-02"}, "time"),
        ("timestamp", {"Timestamp": "2023-11-02"}, "Timestamp"),
        ("timestamp", {"created_at": "2023-11-02"}, "created_at"),
        ("timestamp", {"context": {"timestamp": 1}}, "context.timestamp"),
        ("properties", {"traits": {"email": "a@b"}}, "traits"),
        ("properties", {"Properties": {"email": "a@b"}}, "Properties"),
        ("properties", {"data": {"email": "a@b"}}, "data"),
    ],
)
def test_missing_field_names_the_near_miss(
    missing: str, changes: dict[str, Any], near: str
) -> None:
    sent = without(signed_up_with(), missing) | changes
    [error] = [e for e in rejected(sent).errors if e.path == missing]
    assert error.code == "missing_field"
    assert f"`{near}`" in error.message
    assert f"`{missing}`" in error.message


@pytest.mark.parametrize(
    ("changes", "near"),
    [
        ({"properties": {}, "email": "a@b"}, "email"),
        ({"properties": {"Email": "a@b"}}, "properties.Email"),
        ({"properties": {"e_mail": "a@b"}}, "properties.e_mail"),
        ({"properties": {"userEmail": "a@b"}}, "properties.userEmail"),
        ({"properties": {"emial": "a@b"}}, "properties.emial"),
        ({"properties": {}, "traits": {"email": "a@b"}}, "traits.email"),
        ({"properties": {}, "context": {"email": "a@b"}}, "context.email"),
    ],
)
def test_missing_property_names_the_near_miss(
    changes: dict[str, Any], near: str
) -> None:
    [error] = rejected(signed_up_with(**changes)).errors
    assert (error.code, error.path) == ("missing_field", "properties.email")
    assert f"`{near}`" in error.message


@pytest.mark.parametrize(
    ("changes", "near"),
    [
        ({"properties": {"role": "admin", "group_id": "g"}}, "properties.group_id"),
        ({"account_id": "g"}, "account_id"),
        ({"context": {"groupID": "g"}}, "context.groupID"),
        ({"traits": {"companyId": "g"}}, "traits.companyId"),
    ],
)
def test_missing_group_names_the_near_miss(changes: dict[str, Any], near: str) -> None:
    [error] = rejected(signed_up_with(**ROLE | changes)).errors
    assert (error.code, error.path) == ("missing_field", "group_id")
    assert f"`{near}`" in error.message


@pytest.mark.parametrize(
    "sent",
    [
        without(signed_up_with(), "user_id"),
        signed_up_with(user_id=None, userID=None),
        without(signed_up_with(other="u", use=1, ip="::1"), "user_id"),
    ],
)
def test_missing_field_without_a_near_miss_names_none(sent: dict[str, Any]) -> None:
    [error] = rejected(sent).errors
    assert error.message == "This is required."


def test_near_miss_with_an_unprintable_name_is_cleaned() -> None:
    sent = without(signed_up_with(**{"user\x00id": "u"}), "user_id")
    [error] = [e for e in rejected(sent).errors if e.path == "user_id"]
    assert "`user\ufffdid`" in error.message
