"""JSONTestSuite over HTTP: nothing in it may end in a 5xx, or be stored as other."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support.service.tenant import Tenant

REPLACED = str.maketrans({0: "\ufffd"} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd"))
UNDECODABLE, REJECTED = "invalid_json", "all_rejected"
# Implementation-defined files that are rejected; the other i_ files are stored.
IMPLEMENTATION_DEFINED = {
    "i_number_huge_exp.json": REJECTED,
    "i_number_neg_int_huge_exp.json": REJECTED,
    "i_number_pos_double_huge_exp.json": REJECTED,
    "i_number_real_neg_overflow.json": REJECTED,
    "i_number_real_pos_overflow.json": REJECTED,
    "i_number_real_underflow.json": REJECTED,
    "i_string_UTF-16LE_with_BOM.json": UNDECODABLE,
    "i_string_UTF-8_invalid_sequence.json": UNDECODABLE,
    "i_string_UTF8_surrogate_U+D800.json": UNDECODABLE,
    "i_string_invalid_utf-8.json": UNDECODABLE,
    "i_string_iso_latin_1.json": UNDECODABLE,
    "i_string_lone_utf8_continuation_byte.json": UNDECODABLE,
    "i_string_not_in_unicode_range.json": UNDECODABLE,
    "i_string_overlong_sequence_2_bytes.json": UNDECODABLE,
    "i_string_overlong_sequence_6_bytes.json": UNDECODABLE,
    "i_string_overlong_sequence_6_bytes_null.json": UNDECODABLE,
    "i_string_truncated-utf-8.json": UNDECODABLE,
    "i_string_utf16BE_no_BOM.json": UNDECODABLE,
    "i_string_utf16LE_no_BOM.json": UNDECODABLE,
    "i_structure_500_nested_arrays.json": REJECTED,
    "i_structure_UTF-8_BOM_empty_object.json": UNDECODABLE,
}
# Invalid JSON that SDKs send, or that the surrounding text makes valid.
STORED_ALL_THE_SAME = {
    "n_number_NaN.json",
    "n_number_infinity.json",
    "n_number_minus_infinity.json",
}


def files(corpora: Path, folder: str) -> list[Path]:
    found = sorted((corpora / "JSONTestSuite" / folder).glob("*.json"))
    assert len(found) == {"test_parsing": 318, "test_transform": 22}[folder]
    return found


def spliced(file: Path) -> bytes:
    """An event that is good if the file is: its bytes are the value of a property."""
    return (
        b'{"event":"signed_up","user_id":"u","message_id":%b,'
        b'"timestamp":"2023-11-02T00:30:08.276Z",'
        b'"properties":{"email":"a@b.c","p":%b}}'
        % (json.dumps(file.name).encode(), file.read_bytes())
    )


def expected(value: Any) -> Any:
    """The value as it is documented to be stored, in a form that == compares."""
    match value:
        case dict():
            return {key.translate(REPLACED): expected(v) for key, v in value.items()}
        case list():
            return [expected(inner) for inner in value]
        case str():
            return value.translate(REPLACED)
        case bool() | None:
            return repr(value)
        case _ if not value.is_finite():
            return repr(None)
        case _:
            return value


def read(text: bytes | str) -> Any:
    """JSON with exact integers and, as documented, doubles for all else."""
    return json.loads(
        text,
        parse_int=Decimal,
        parse_float=lambda number: Decimal(repr(float(number))),
        parse_constant=Decimal,
    )


def send_spliced(tenant: Tenant, corpora: Path, folder: str) -> dict[str, str]:
    """The verdict on each file: `stored`, or the code of the refusal."""
    verdicts: dict[str, str] = {}
    for file in files(corpora, folder):
        response = tenant.post(spliced(file))
        answer = response.json()
        assert response.status_code in {200, 400, 422}, file.name
        good = response.status_code == 200
        verdicts[file.name] = "stored" if good else answer["code"]
    return verdicts


def assert_reads_back(tenant: Tenant, corpora: Path, folder: str) -> None:
    stored = dict(
        tenant.rows(
            "SELECT message_id, CAST(properties -> 'p' AS text) FROM events"
            " WHERE source = :source"
        )
    )
    for name, text in stored.items():
        sent = (corpora / "JSONTestSuite" / folder / name).read_bytes()
        assert expected(read(text)) == expected(read(sent)), name


def test_no_file_as_a_whole_body_is_an_event(tenant: Tenant, corpora: Path) -> None:
    for folder in ("test_parsing", "test_transform"):
        for file in files(corpora, folder):
            response = tenant.post(file.read_bytes())
            assert response.status_code in {400, 422}, file.name
    assert tenant.rows("SELECT id FROM events WHERE source = :source") == []


def test_file_as_a_property_is_stored_unchanged_or_refused(
    tenant: Tenant, corpora: Path
) -> None:
    verdicts = send_spliced(tenant, corpora, "test_parsing")

    by_kind = {
        kind: {n: v for n, v in verdicts.items() if n.startswith(kind)}
        for kind in ("y_", "n_", "i_")
    }
    assert set(by_kind["y_"].values()) == {"stored"}
    stored = {name for name, verdict in by_kind["n_"].items() if verdict == "stored"}
    assert stored == STORED_ALL_THE_SAME
    refused = {n: v for n, v in by_kind["i_"].items() if v != "stored"}
    assert refused == IMPLEMENTATION_DEFINED
    assert_reads_back(tenant, corpora, "test_parsing")


def test_implementation_defined_files_are_stored_as_documented(
    tenant: Tenant, corpora: Path
) -> None:
    verdicts = send_spliced(tenant, corpora, "test_transform")

    refused = {name: v for name, v in verdicts.items() if v != "stored"}
    assert refused == {
        f"string_{kind}.json": UNDECODABLE
        for kind in (
            "1_invalid_codepoint",
            "2_invalid_codepoints",
            "3_invalid_codepoints",
        )
    }
    assert_reads_back(tenant, corpora, "test_transform")
