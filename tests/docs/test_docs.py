import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import TypeAdapter

from app.cli import build_commands
from app.events import account_added_user, signed_up
from app.events.catalog import Catalog
from app.events.declaration import Declaration, DeclaredProperty
from app.ingest.response_models import ProblemModel, TrackResponseModel
from app.ingest.routes import OTHER_CALLS, TRACK_ROUTES
from app.pipeline import codes as codes_module
from app.pipeline.issues import ErrorCode, WarningCode
from app.pipeline.json_decode import depth_of
from app.request_errors import REQUEST_ERRORS
from app.settings import KIB, MIB, Settings
from tests.conftest import ROOT
from tests.support.docs.markdown import (
    anchors,
    blocks,
    codes,
    every,
    links,
    named,
    pages,
    read,
    section,
    table,
    tables,
)
from tests.support.events.declared import SAMPLE
from tests.support.pipeline.verdicts import (
    CATALOG,
    POLICY,
    rejected,
    signed_up_with,
    stored,
    with_properties,
)

WIRE = read("docs/wire.md")
OPERATIONS = read("docs/operations.md")
MONITORING = read("docs/monitoring.md")
FIELDS = Settings.model_fields
SETTINGS = read("docs/settings.md")
SETTING_ROWS = {row["setting"]: row for row in table(SETTINGS, "Settings")}
REFUSALS = {
    row["code"].strip("`"): row
    for row in table(WIRE, "When a whole request is refused")
}
ERRORS = codes_module.ERROR_TEXTS.keys()
WARNINGS = codes_module.WARNING_TEXTS.keys()
# Settings of the tests, which the service does not know.
OF_THE_TESTS = {"TEST_CITUS_URL", "TEST_CORPORA", "TEST_DATABASE_URL"}
UNITS = {"": 1, "s": 1, "KiB": KIB, "MiB": MIB}


def with_p(value: Any) -> dict[str, Any]:
    """A valid event with a property of this value."""
    return with_properties(signed_up_with(), p=value)


DECLARED = Declaration(
    name="trial_started",
    description="A trial started.",
    sample=SAMPLE,
    properties={
        "plan": DeclaredProperty(type="enum", values=["team"], description="Plan."),
        "seats": DeclaredProperty(type="integer", minimum=1, description="Seats."),
    },
)


def declared_with(**properties: Any) -> dict[str, Any]:
    return signed_up_with(event=DECLARED.name, properties=properties)


# For each code a body that earns it; those that only Postgres can give are apart.
ERROR_EXAMPLES: dict[str, Any] = {
    "invalid_type": signed_up_with(user_id=1.5),
    "missing_field": signed_up_with(user_id=None),
    "too_short": signed_up_with(user_id=""),
    "too_long": signed_up_with(user_id="u" * 256),
    "invalid_email": signed_up_with(properties={"email": "Ann <ann@example.com>"}),
    "value_not_allowed": declared_with(plan="none"),
    "value_out_of_range": declared_with(seats=0),
    "unknown_event": signed_up_with(event="signed_upp"),
    "conflicting_fields": signed_up_with(userId="another"),
    "placeholder_id": signed_up_with(user_id="undefined"),
    "invalid_character": signed_up_with(user_id="a\0"),
    "number_out_of_range": b'{"properties": {"p": 1e400}}',
    "duplicate_key": with_p({"a\0": 1, "a\ufffd": 2}),
    "too_deep": signed_up_with(context=json.loads('{"a":' * 65 + "1" + "}" * 65)),
    "event_too_large": signed_up_with(context={"a": "a" * (128 * KIB)}),
    "invalid_timestamp": signed_up_with(timestamp="11/02/2023"),
    "timestamp_out_of_range": signed_up_with(timestamp="1969-12-31T23:59:59Z"),
}
WARNING_EXAMPLES: dict[str, Any] = {
    "event_name_folded": signed_up_with(event="Signed Up"),
    "undeclared_event": signed_up_with(event="invoice_paid"),
    "missing_recommended": signed_up_with(properties={"email": "ann@example.com"}),
    "coerced_to_text": signed_up_with(user_id=7),
    "non_finite_number": with_p(float("nan")),
    "character_replaced": with_p("\0"),
    "placeholder_ignored": signed_up_with(message_id="[object Object]"),
    "empty_array_as_object": signed_up_with(context=[]),
    "unknown_field": signed_up_with(messageid="m"),
    "zone_name_ignored": signed_up_with(timestamp="2023-11-02T01:00:00+01:00[X/Y]"),
    "not_iso_8601": signed_up_with(timestamp="Thu, 02 Nov 2023 00:30:08 GMT"),
    "ahead_of_receipt": signed_up_with(timestamp="2026-11-21T02:00:00Z"),
    "precision_cut": signed_up_with(timestamp="2023-11-02T00:30:08.1234567Z"),
    "offset_assumed_utc": signed_up_with(timestamp="2023-11-02T00:30:08"),
    "time_assumed_midnight": signed_up_with(timestamp="2023-11-02"),
    "two_digit_year": signed_up_with(timestamp="20-11-23T22:28:55.111Z"),
    "leap_second": signed_up_with(timestamp="2016-12-31T23:59:60Z"),
    "epoch_number": signed_up_with(timestamp=1698885008),
}
# Codes that only Postgres, another route or an operator can cause.
OF_THE_DATABASE = {
    *("id_conflict", "unstorable", "erased", "content_differs"),
    *("unknown_parameter", "timestamp_assumed_received", "corrected_by_operator"),
}


def test_settings_page_lists_each_setting_and_no_other() -> None:
    assert list(SETTING_ROWS) == [f"`ROLLCALL_{name.upper()}`" for name in FIELDS]


@pytest.mark.parametrize("name", FIELDS)
def test_settings_page_states_default_and_meaning(name: str) -> None:
    row = SETTING_ROWS[f"`ROLLCALL_{name.upper()}`"]
    field = FIELDS[name]

    assert re.fullmatch(r".+\.", row["meaning"])
    if field.default is None:
        assert row["default"] == "none"
    else:
        assert field.annotation is not None
        # As it would be written into the environment.
        told = TypeAdapter(field.annotation).validate_python(row["default"].strip("`"))
        assert told == field.default


def test_operations_say_something_of_each_setting() -> None:
    told = set(re.findall(r"`ROLLCALL_(\w+)`", section(SETTINGS, "Settings by topic")))
    assert told == {name.upper() for name in FIELDS}


def test_every_setting_that_is_named_anywhere_exists() -> None:
    known = {name.upper() for name in FIELDS} | OF_THE_TESTS
    found = set(every(r"ROLLCALL_([A-Z_]+)"))
    for file in ("Dockerfile", "compose.yaml"):
        found |= {
            (ROOT / file, m) for m in re.findall(r"ROLLCALL_([A-Z_]+)", read(file))
        }
    assert {(page, name) for page, name in found if name not in known} == set()


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    for link in links(page.read_text(encoding="utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_file_that_is_named_exists(page: Path) -> None:
    ours = re.compile(r"(?:app|docs|migrations|tests|\.ci)(?:/[\w.-]+)+")
    missing = {
        code
        for code in codes(page.read_text(encoding="utf-8"))
        if ours.fullmatch(code) and not (ROOT / code).exists()
    }
    # The files that the tutorial asks a newcomer to make.
    assert missing <= {
        "app/events/trial_started.py",
        "migrations/views/signed_up_v2.sql",
    }


def test_each_refusal_is_listed_with_its_status_and_whether_to_retry() -> None:
    kinds = {
        kind.code: (str(kind.status), "yes" if kind.retryable else "no")
        for kind in REQUEST_ERRORS
    }
    told = {code: (row["status"], row["retry"]) for code, row in REFUSALS.items()}
    assert told == kinds | {"all_rejected": ("422", "no")}


def test_every_code_of_an_issue_has_an_explanation() -> None:
    assert list(ErrorCode) == list(ERRORS)
    assert list(WarningCode) == list(WARNINGS)


@pytest.mark.parametrize(
    ("title", "known"),
    [
        ("Errors of one event", codes_module.ERROR_TEXTS),
        ("Warnings", codes_module.WARNING_TEXTS),
    ],
)
def test_message_of_a_code_matches_its_explanation(
    title: str, known: dict[str, codes_module.Explanation]
) -> None:
    told = {
        row["code"].strip("`"): codes_module.Explanation(
            row["meaning"],
            # A document leads on; a page has nowhere to lead to.
            re.sub(r" \(\[[^\]]*\]\([^)]*\)\)", "", row["remedy"]),
        )
        for row in table(WIRE, title)
    }
    assert told == known


def test_examples_are_of_the_listed_codes() -> None:
    listed = ERRORS | WARNINGS
    assert ERROR_EXAMPLES.keys() | WARNING_EXAMPLES.keys() == listed - OF_THE_DATABASE
    assert listed >= OF_THE_DATABASE


@pytest.mark.parametrize("code", sorted(ERRORS - OF_THE_DATABASE))
def test_listed_errors_are_errors(code: str) -> None:
    policy = replace(POLICY, catalog=Catalog(CATALOG.values(), [DECLARED]))
    errors = rejected(ERROR_EXAMPLES[code], policy=policy).errors
    assert code in {error.code for error in errors}


@pytest.mark.parametrize("code", sorted(WARNINGS - OF_THE_DATABASE))
def test_listed_warnings_are_warnings(code: str) -> None:
    catalog = Catalog(CATALOG.values(), accepts_undeclared=True)
    policy = replace(POLICY, catalog=catalog)
    warnings = stored(WARNING_EXAMPLES[code], policy=policy).warnings
    assert code in {warning.code for warning in warnings}


def test_limits_are_the_defaults_of_their_settings() -> None:
    rows = [row for row in table(WIRE, "Limits") if row["setting"] != "none"]
    for row in rows:
        found = re.match(r"([\d,]+) ?(\w*)", row["default"])
        assert found, row
        number, unit = found.groups()
        [setting] = named(row, "setting")
        default = FIELDS[setting.removeprefix("ROLLCALL_").lower()].default
        assert int(number.replace(",", "")) * UNITS[unit] == default, setting
        assert named(row, "over it")[0] in REFUSALS.keys() | ERRORS


@pytest.mark.parametrize(
    ("event", "depth"),
    [
        (signed_up_with(properties={}), 1),
        ({"properties": {"tags": [[]]}}, 3),
    ],
)
def test_documented_depth_matches_the_code(event: dict[str, Any], depth: int) -> None:
    assert depth_of(event) == depth
    assert f"has depth {depth}" in WIRE


def test_each_route_is_listed_and_no_other() -> None:
    rows = table(WIRE, "Routes")
    events = {route for row in rows[:-1] for route in named(row, "route")}
    others = named(rows[-1], "route")
    calls = tuple(name for name in others if not name.startswith("/"))
    prefixes = [name for name in others if name.startswith("/")]

    assert events == {route.path for route in TRACK_ROUTES if route.calls != "other"}
    assert calls == OTHER_CALLS
    assert {f"{prefix}/{call}" for prefix in prefixes for call in calls} == {
        route.path for route in TRACK_ROUTES if route.calls == "other"
    }


def test_every_sample_is_accepted() -> None:
    samples = blocks(read("docs/events.md"), "json")
    assert samples
    for sample in samples:
        stored(sample.encode())


def test_documented_samples_are_among_them() -> None:
    samples = [json.loads(sample) for sample in blocks(read("docs/events.md"), "json")]
    assert signed_up.SAMPLE in samples
    assert account_added_user.SAMPLE in samples


@pytest.mark.parametrize("event", ["signed_up", "account_added_user"])
def test_each_event_is_described_with_all_its_properties(event: str) -> None:
    _, rows = tables(section(read("docs/events.md"), event))
    event_type = CATALOG[event]
    properties = event_type.model.model_fields["properties"].annotation
    assert properties is not None
    told = {name: row["required"] for row in rows for name in named(row, "property")}

    assert told.keys() == properties.model_fields.keys()
    assert {name for name, required in told.items() if required == "yes"} == {
        name for names in event_type.require_one_of for name in names
    }
    assert {name for name, required in told.items() if "warning" in required} == {
        *event_type.recommended
    }


def test_sample_answers_have_the_shape_of_answers() -> None:
    answer, problem = blocks(WIRE, "json")
    TrackResponseModel.model_validate_json(answer)
    ProblemModel.model_validate_json(problem)


def test_event_is_added_by_the_documented_steps() -> None:
    file, line = blocks(read("docs/architecture.md"), "python")
    made: dict[str, Any] = {}
    exec(file, made)  # noqa: S102 - our own document
    assert line.strip() == "trial_started.EVENT_TYPE"
    catalog = Catalog([*CATALOG.values(), made["EVENT_TYPE"]])

    record = stored(made["SAMPLE"], policy=replace(POLICY, catalog=catalog))
    assert (record.event, record.warnings) == ("trial_started", ())
    assert rejected(made["SAMPLE"]).reason == "unknown_event"


def test_every_command_of_make_is_listed_and_no_other() -> None:
    rows = table(read("CONTRIBUTING.md"), "Commands")
    targets = re.findall(r"^([a-z]+):.*## ", read("Makefile"), re.MULTILINE)
    assert [row["command"] for row in rows] == [
        f"`make {target}`" for target in targets if target != "help"
    ]


def commands_of(command: Any, path: str) -> Iterator[str]:
    """The paths of a command's own commands; a command without any is its own."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path
    else:
        for name in inner:
            yield from commands_of(inner[name], f"{path} {name}")


def test_every_command_is_listed_and_no_other() -> None:
    told = [
        name for row in table(OPERATIONS, "Commands") for name in named(row, "command")
    ]
    made = typer.main.get_command(build_commands())
    assert sorted(told) == sorted(commands_of(made, "rollcall"))


def test_every_log_message_that_is_explained_exists() -> None:
    code = "".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))
    for row in table(MONITORING, "Logs"):
        [message] = named(row, "message")
        assert f'"{message}"' in code
