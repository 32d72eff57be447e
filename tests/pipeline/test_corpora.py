"""Public test vectors through the pure pipeline."""

import json
from pathlib import Path

from app.pipeline.fields.placeholders import WORDS, is_placeholder
from app.pipeline.json_decode import decode
from app.pipeline.json_encode import encode_exactly
from app.pipeline.rejection import Rejection
from app.request_errors import InvalidJsonError
from tests.support.pipeline.verdicts import (
    judge_body,
    rejected,
    signed_up_with,
    stored,
    with_properties,
)

HEAD = b'{"event":"signed_up","user_id":"u","timestamp":"2023-11-02T00:30:08.276Z",'
MAX_ID = 255
# Valid JSON that Postgres cannot hold as it is.
WITH_NUL = {"y_object_escaped_null_in_key.json", "y_string_null_escape.json"}


def naughty_strings(corpora: Path) -> list[str]:
    strings: list[str] = json.loads((corpora / "blns" / "blns.json").read_bytes())
    assert len(strings) == 515
    return strings


def test_naughty_strings_are_stored_to_the_letter(corpora: Path) -> None:
    for text in naughty_strings(corpora):
        sent = signed_up_with(context={"x": text, text: 1})
        record = stored(
            with_properties(sent, **{"x": text, text: text, "email": "a@b"})
        )
        properties, context = json.loads(record.properties), json.loads(record.context)
        assert properties["x"] == text
        assert properties[text] == text or text in {"email", "x"}
        assert context["x"] == text
        assert {warning.code for warning in record.warnings} == set()


def test_naughty_strings_are_ids_unless_they_are_empty_or_long(corpora: Path) -> None:
    refused: set[str] = set()
    for text in naughty_strings(corpora):
        sent = signed_up_with(userId=text, user_id=None, groupId=text, messageId=text)
        if not 1 <= len(text) <= MAX_ID or is_placeholder(text):
            refused.add(rejected(sent).reason)
            continue
        record = stored(sent)
        assert record.user_id == record.group_id == record.message_id == text
    assert refused == {"too_short", "too_long", "placeholder_id"}


def test_naughty_strings_of_the_list_are_placeholders(corpora: Path) -> None:
    listed = {text for text in naughty_strings(corpora) if is_placeholder(text)}
    words = {text for text in listed if text.strip()}
    assert {"undefined", "null", "NULL", "None", "nil", "NaN"} <= words
    templates = {text for text in words if text.startswith(("{{", "${"))}
    assert {text.lower() for text in words - templates} <= WORDS


def test_naughty_strings_are_no_timestamps_and_no_event_names(corpora: Path) -> None:
    for text in naughty_strings(corpora):
        assert rejected(signed_up_with(timestamp=text)).reason == "invalid_timestamp"
        rejection = rejected(signed_up_with(event=text))
        assert rejection.reason == "unknown_event"
        assert rejection.event == text[:MAX_ID]


def test_json_of_the_suite_is_stored_as_a_property(corpora: Path) -> None:
    """`y_` is read back equal, `n_` is refused (except values of SDKs), `i_` varies."""
    refused: dict[str, str] = {}
    files = sorted((corpora / "JSONTestSuite" / "test_parsing").glob("*.json"))
    assert len(files) == 318
    for file in files:
        body = HEAD + b'"properties":{"email":"a@b","p":%b}}' % file.read_bytes()
        try:
            verdict = judge_body(body)
        except InvalidJsonError:
            refused[file.name] = "undecodable"
            continue
        if isinstance(verdict, Rejection):
            refused[file.name] = verdict.reason
        elif file.name.startswith("y_") and file.name not in WITH_NUL:
            sent = json.loads(file.read_bytes())
            assert json.loads(verdict.properties)["p"] == sent, file.name
    assert not any(name.startswith("y_") for name in refused)
    assert sum(name.startswith("n_") for name in refused) == 188 - 3
    assert {name: why for name, why in refused.items() if why != "undecodable"} == {
        "i_number_huge_exp.json": "number_out_of_range",
        "i_number_neg_int_huge_exp.json": "number_out_of_range",
        "i_number_pos_double_huge_exp.json": "number_out_of_range",
        "i_number_real_neg_overflow.json": "number_out_of_range",
        "i_number_real_pos_overflow.json": "number_out_of_range",
        "i_number_real_underflow.json": "number_out_of_range",
        "i_structure_500_nested_arrays.json": "too_deep",
    }


def test_implementation_defined_files_are_kept_unchanged(corpora: Path) -> None:
    undecodable: set[str] = set()
    files = sorted((corpora / "JSONTestSuite" / "test_transform").glob("*.json"))
    assert len(files) == 22
    for file in files:
        try:
            value = decode(file.read_bytes(), max_depth=64).value
        except InvalidJsonError:
            undecodable.add(file.name)
            continue
        text = encode_exactly(value)
        again = decode(text.encode(), max_depth=64).value
        assert encode_exactly(again) == text, file.name
    assert undecodable == {  # surrogates that are no escapes: not UTF-8
        "string_1_invalid_codepoint.json",
        "string_2_invalid_codepoints.json",
        "string_3_invalid_codepoints.json",
    }
