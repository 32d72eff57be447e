import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator as Validator
from jsonschema_rs import meta

from app.declarations.declaration_set import (
    from_json,
    load_declarations,
    ready_files,
    to_json,
)
from app.declarations.sample import sample_errors
from app.declarations.toml_file import (
    MAX_FILE_BYTES,
    DeclarationFile,
    read_declaration,
)
from app.errors import ConfigurationError
from app.events.catalog import Catalog, built_in_catalog
from app.events.declaration import declaration_schema
from tests.support.events.declared import TRIAL, trial_with, write_trial
from tests.support.pipeline.verdicts import RECEIPT

READY = "b2b_saas"


def problems_of(path: Path) -> list[tuple[int, str]]:
    read = read_declaration(path)
    assert isinstance(read, list)
    return [(problem.line, problem.message) for problem in read]


@pytest.mark.parametrize(
    ("before", "after", "line", "message"),
    [
        ('name = "trial_started"', 'name = "Trial"', 1, "name: This must match"),
        ('name = "trial_started"', 'name = "select"', 1, "reserved word"),
        ('name = "trial_started"', 'name = "pg_class"', 1, "begin with `pg_`"),
        ('name = "trial_started"', 'name = "events"', 1, "is a table"),
        ('name = "trial_started"', 'name = "events_p20261123"', 1, "reserved"),
        ('name = "trial_started"', 'name = "naïve"', 1, "name: This must match"),
        ('name = "trial_started"', f'name = "{"a" * 64}"', 1, "at most 63"),
        ('name = "trial_started"', 'nome = "trial_started"', 1, "nome: There is no"),
        ("account_required = true", "account_required = 1", 3, "true or false"),
        ('type = "integer"', 'type = "int"', 19, "Unknown type"),
        ('type = "integer"', 'type = "list of list of text"', 19, "Unknown type"),
        ("minimum = 1", "minimum = true", 21, "minimum"),
        ("minimum = 1", "minimum = nan", 21, "a finite number"),
        ("minimum = 1", "minimum = -inf", 21, "a finite number"),
        ("minimum = 1", "minimum = 2\nmaximum = 1", 21, "greater than"),
        ("minimum = 1", "min_length = 1", 21, "does not apply"),
        ("minimum = 1", 'names = ["plan"]', 1, "`plan` has already"),
        ("[properties.seats]", '[properties."a b"]', 18, "This must match"),
        ('"The plan."', '"a\\u0007b"', 14, "control characters"),
        ('"The plan."', '"a\\u202eb"', 14, "control characters"),
        ("minimum = 1", "minimum = ", 21, "Invalid TOML"),
        ('"event": "trial', '"event": "other', 4, "object of the event"),
        ('"user_id": "u1"', '"user_id": 1', 4, "needs `user_id`"),
        ('"seats": 5', '"seats": 5,', 4, "not JSON"),
        ('{"group_id": "a1"}', "[]", 4, "that is not an object"),
        ("minimum = 1", "recommended = true\nrequired = true", 18, "either required"),
        ('type = "text"', 'type = "enum"', 12, "An enum needs `values`"),
        ('type = "text"', 'type = "enum"\nvalues = ["a", "a"]', 14, "a value twice"),
        ("account_required", 'message_id = "{plan}"\naccount_required', 3, "names `{p"),
    ],
)
def test_error_names_its_line(
    tmp_path: Path, before: str, after: str, line: int, message: str
) -> None:
    assert before in TRIAL
    path = write_trial(tmp_path, TRIAL.replace(before, after))
    found = problems_of(path)

    assert any(message in text for _, text in found), found
    assert line in {number for number, _ in found}


def test_all_errors_of_a_file_are_reported_at_once(tmp_path: Path) -> None:
    path = write_trial(tmp_path, "[properties.a]\ntype = 'x'\n[properties.b]\nz = 1")

    assert len(problems_of(path)) >= 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a" * (MAX_FILE_BYTES + 1), "larger than"),
        (b"# " + b"x" * (10 * 1024 * 1024), "larger than"),
        (b'name = "\xff"', "not UTF-8"),
        (b"a = " + b"[" * 20_000, "Invalid TOML"),
        (b"a = 1979-99-99", "Invalid TOML"),
        (b"a = " + b"9" * 5_000, "Invalid TOML"),
        (b"", "This key is missing"),
    ],
)
def test_hostile_content_is_an_error(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "hostile.toml"
    path.write_bytes(content)

    assert any(message in text for _, text in problems_of(path))


def test_file_that_would_block_or_loop_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "cycle.toml").symlink_to(tmp_path / "cycle.toml")
    (tmp_path / "directory.toml").mkdir()

    with pytest.raises(ConfigurationError) as caught:
        load_declarations(tmp_path)
    for name in ("pipe", "cycle", "directory"):
        assert f"{name}.toml:1: This is not a regular file." in caught.value.detail


def test_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load_declarations(tmp_path / "missing")


def test_long_list_of_problems_is_cut(tmp_path: Path) -> None:
    for number in range(25):
        (tmp_path / f"{number}.toml").write_text("name =", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"and 5 more problems"):
        load_declarations(tmp_path)


def test_other_files_are_ignored(tmp_path: Path) -> None:
    write_trial(tmp_path)
    (tmp_path / "README.md").write_text("not a declaration")
    (tmp_path / ".hidden.toml").write_text("not a declaration")

    assert [each.name for each in load_declarations(tmp_path)] == ["trial_started"]


def test_two_declarations_cannot_share_a_name_or_title(tmp_path: Path) -> None:
    write_trial(tmp_path)
    (tmp_path / "again.toml").write_text(TRIAL)
    (tmp_path / "titled.toml").write_text(
        TRIAL.replace('"trial_started"', '"trial_two"')
    )
    (tmp_path / "own.toml").write_text(TRIAL.replace('"trial_started"', '"signed_up"'))
    with pytest.raises(ConfigurationError) as caught:
        load_declarations(tmp_path)

    assert "name: `trial_started` belongs to" in caught.value.detail
    assert "name: `signed_up` belongs to a built-in event" in caught.value.detail
    assert "trial_two" not in caught.value.detail


def test_sample_is_tried(tmp_path: Path) -> None:
    for before, after, message in (
        ('"seats": 5', '"seats": 0', "properties.seats"),
        ('"user_id": "u1"', '"user_id": "undefined"', "user_id"),
        ('"2026-03-02T', '"2026-13-02T', "timestamp"),
        ('{"group_id": "a1"}', "{}", "group_id"),
    ):
        read = read_declaration(write_trial(tmp_path, TRIAL.replace(before, after)))
        assert isinstance(read, DeclarationFile)
        errors = sample_errors(read.declaration, received_at=RECEIPT.received_at)
        assert any(message in error for error in errors), errors
    read = read_declaration(write_trial(tmp_path))
    assert isinstance(read, DeclarationFile)
    assert sample_errors(read.declaration, received_at=RECEIPT.received_at) == []


@pytest.mark.parametrize("path", ready_files(READY), ids=lambda path: path.stem)
def test_each_ready_declaration_accepts_its_sample(path: Path) -> None:
    read = read_declaration(path)

    assert isinstance(read, DeclarationFile)
    assert read.declaration.name == path.stem
    assert read.declaration.message_id
    assert not sample_errors(read.declaration, received_at=RECEIPT.received_at)


def test_own_declaration_replaces_a_ready_one(tmp_path: Path) -> None:
    write_trial(tmp_path)
    declared = load_declarations(tmp_path, ready_folder=READY)

    assert len(declared) == len(ready_files(READY))
    [own] = [each for each in declared if each.name == "trial_started"]
    assert "seats" in own.properties


def test_set_survives_json_and_pickle(tmp_path: Path) -> None:
    write_trial(tmp_path)
    declared = load_declarations(tmp_path, ready_folder=READY)
    made = Catalog(built_in_catalog().values(), declared)
    catalog = pickle.loads(pickle.dumps(made))  # noqa: S301 - ours

    assert from_json(to_json(declared)) == declared
    assert [*catalog] == [*made]
    catalog.validator("trial_started")(
        trial_with({"plan": "team"}, group_id="a1", user_id="u1")
    )


def test_digest_changes_with_any_declaration(tmp_path: Path) -> None:
    def digest_of(directory: Path | None) -> str:
        return Catalog((), load_declarations(directory)).digest

    first = digest_of(write_trial(tmp_path).parent)
    write_trial(tmp_path, TRIAL + "# a comment\n")
    assert digest_of(tmp_path) == first
    write_trial(tmp_path, TRIAL.replace("The plan.", "Plan."))
    assert digest_of(tmp_path) != first
    assert digest_of(None) == Catalog(()).digest


def test_schema_of_declarations_accepts_valid_declarations() -> None:
    schema = declaration_schema()
    assert meta.is_valid(schema)
    validator = Validator(schema)
    for declaration in load_declarations(None, ready_folder=READY):
        document: dict[str, Any] = declaration.model_dump(
            mode="json", by_alias=True, exclude_defaults=True
        )
        assert validator.is_valid(document), declaration.name
        assert not validator.is_valid(document | {"unknown": 1})
        document["properties"]["p"] = {"type": "int", "description": "A."}
        assert not validator.is_valid(document)
