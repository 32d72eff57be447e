import json
from typing import Any

import pytest

from app.ingest.request import QueryOptions
from app.ingest.response_models import ProblemModel, TrackResponseModel
from app.ingest.responses import TrackResponse, build_response
from app.ingest.routes import TrackRoute
from app.pipeline.issues import Issue
from app.pipeline.outcome import Entry, EventStatus, Outcome
from app.pipeline.record import Record
from app.pipeline.rejection import Rejection
from app.pipeline.unpack import IGNORED, Ignored
from app.store.write.insert import STORED as INSERTED
from tests.support.pipeline.verdicts import SIGNED_UP, rejected, stored

TRACK = TrackRoute("/track")
SDK = TrackRoute("/v1/batch", lenient=True, calls="typed")
API = TrackRoute("/api/track", lists_warnings=True)
STORED, DUPLICATE = Outcome(EventStatus.STORED), Outcome(EventStatus.DUPLICATE)


@pytest.fixture
def record() -> Record:
    return stored(SIGNED_UP)


@pytest.fixture
def rejection() -> Rejection:
    return rejected({"event": "signed_up"})


def refused(rejection: Rejection, *, kept: bool = True) -> Outcome:
    return Outcome(EventStatus.REJECTED, errors=rejection.errors, kept=kept)


def answered(
    *pairs: tuple[Entry | Ignored, Outcome],
    route: TrackRoute = TRACK,
    dry_run: bool = False,
) -> tuple[TrackResponse, dict[str, Any]]:
    entries = [entry for entry, _ in pairs]
    outcomes = [outcome for _, outcome in pairs]
    answer = build_response(
        entries,
        outcomes,
        route=route,
        request_id="request-1",
        options=QueryOptions(dry_run),
    )
    content: dict[str, Any] = json.loads(answer.body)
    view = TrackResponseModel if answer.status == 200 else ProblemModel
    view.model_validate(content, strict=True)
    return answer, content


def test_result_in_a_batch_is_that_of_the_event_alone(record: Record) -> None:
    warned = stored(SIGNED_UP | {"timestamp": "2023-11-02T00:30:08Z", "colour": 1})
    assert warned.warnings
    exact = stored(SIGNED_UP | {"timestamp": "2023-11-02T00:30:08.276543Z"})
    records = [record, warned, exact, stored(SIGNED_UP | {"timestamp": 1_700_000_000})]
    _, batch = answered(*((each, INSERTED) for each in records))
    for index, each in enumerate(records):
        _, alone = answered((each, INSERTED))
        assert batch["results"][index] == alone["results"][0] | {"index": index}


def test_response_to_one_stored_event_is_exact(record: Record) -> None:
    answer, content = answered((record, STORED))

    assert (answer.status, answer.media_type) == (200, b"application/json")
    assert content == {
        "success": True,
        "message": "1 event stored",
        "response_id": "request-1",
        "stored": 1,
        "duplicates": 0,
        "rejected": 0,
        "results": [
            {
                "index": 0,
                "status": "stored",
                "id": record.id,
                "event": "signed_up",
                "timestamp": "2023-11-02T00:30:08.276Z",
                "warnings": [],
            }
        ],
    }


def test_results_are_in_the_order_sent_and_counted(
    record: Record, rejection: Rejection
) -> None:
    answer, content = answered(
        (rejection, refused(rejection)),
        (record, STORED),
        (record, DUPLICATE),
        (record, STORED),
    )

    assert answer.status == 200
    assert content["success"] is False
    assert content["message"] == (
        "2 events stored, 1 duplicate, 1 event rejected. "
        "First error of event 0 at `user_id`: This is required."
    )
    assert [(r["index"], r["status"]) for r in content["results"]] == [
        (0, "rejected"),
        (1, "stored"),
        (2, "duplicate"),
        (3, "stored"),
    ]
    assert (content["stored"], content["duplicates"], content["rejected"]) == (2, 1, 1)
    assert answer.counts == {"stored": 2, "duplicate": 1, "rejected": 1}


def test_rejected_event_has_its_errors_and_no_instant(rejection: Rejection) -> None:
    _, content = answered((rejection, refused(rejection)))

    [result] = content["results"]
    assert result.keys() == {"index", "status", "id", "warnings", "errors"}
    assert result["id"] == rejection.id
    assert [error["path"] for error in result["errors"]] == [
        error.path for error in rejection.errors
    ]


def test_body_without_a_good_event_is_a_problem(rejection: Rejection) -> None:
    answer, content = answered(
        (rejection, refused(rejection)), (rejection, refused(rejection))
    )

    assert (answer.status, answer.media_type) == (422, b"application/problem+json")
    assert (content["status"], content["code"]) == (422, "all_rejected")
    assert content["detail"] == content["message"]
    assert content["message"] == (
        "2 events rejected. First error of event 0 at `user_id`: This is required."
    )
    assert content["success"] is False
    assert {error["index"] for error in content["errors"]} == {0, 1}
    assert len(content["errors"]) == 2 * len(rejection.errors)


def test_sdk_route_answers_200_without_a_good_event(rejection: Rejection) -> None:
    answer, content = answered((rejection, refused(rejection)), route=SDK)

    assert answer.status == 200
    assert (content["success"], content["rejected"]) == (False, 1)


def test_body_of_duplicates_is_a_success(record: Record) -> None:
    answer, content = answered((record, DUPLICATE))

    assert answer.status == 200
    assert (content["success"], content["message"]) == (True, "1 duplicate")


def test_duplicate_with_other_content_has_a_warning(record: Record) -> None:
    _, content = answered((record, Outcome(EventStatus.DUPLICATE, differs=True)))

    [result] = content["results"]
    assert [w["code"] for w in result["warnings"]] == ["content_differs"]
    assert content["success"] is True


@pytest.mark.parametrize("kept", [False, True])
def test_dropped_rejection_is_reported(rejection: Rejection, *, kept: bool) -> None:
    _, content = answered((rejection, refused(rejection, kept=kept)))

    assert content["results"][0].get("kept") is (None if kept else False)


def test_truncated_payload_is_reported() -> None:
    cut = rejected({"event": "x" * 200_000})
    _, content = answered((cut, refused(cut)))

    assert content["results"][0]["truncated"] is True


def test_record_refused_by_the_database_names_its_rejection(
    record: Record, rejection: Rejection
) -> None:
    outcome = refused(rejection)._replace(rejection_id=rejection.id)
    _, content = answered((record, outcome), (record, STORED))

    assert content["results"][0].keys() == {
        "index",
        "status",
        "id",
        "warnings",
        "errors",
    }
    assert content["results"][0]["id"] == rejection.id


@pytest.mark.parametrize("dry_run", [False, True])
def test_dry_run_field_appears_only_in_dry_runs(
    record: Record, *, dry_run: bool
) -> None:
    _, content = answered((record, Outcome(EventStatus.VALID)), dry_run=dry_run)

    assert content.get("dry_run") is (dry_run or None)
    assert (content["message"], content["stored"]) == ("1 event valid", 0)
    assert content["results"][0]["status"] == "valid"


def test_ignored_calls_are_counted_where_there_can_be_any(record: Record) -> None:
    _, content = answered(
        (IGNORED, Outcome(EventStatus.IGNORED)), (record, STORED), route=SDK
    )

    assert (content["ignored"], content["stored"]) == (1, 1)
    assert content["results"][0] == {"index": 0, "status": "ignored", "warnings": []}
    assert content["message"] == "1 event stored, 1 call ignored"
    assert "ignored" not in answered((record, STORED))[1]


def test_empty_body_of_an_sdk_is_a_success() -> None:
    answer, content = answered(route=SDK)

    assert (answer.status, content["success"], content["results"]) == (200, True, [])
    assert content["message"] == "0 events stored"


def test_warnings_of_a_route_are_one_list() -> None:
    warned = stored(SIGNED_UP | {"timestamp": "20-11-23T22:28:55.111Z"})
    _, content = answered((warned, STORED), (warned, STORED), route=API)

    assert [(w["index"], w["code"]) for w in content["warnings"]] == [
        (0, "two_digit_year"),
        (1, "two_digit_year"),
    ]


def test_warning_of_the_request_is_listed_without_an_index() -> None:
    warning = Issue("unknown_parameter", "", "This path has no such query parameter.")
    answer = build_response(
        [],
        [],
        route=SDK,
        request_id="r",
        options=QueryOptions(dry_run=False, warnings=(warning,)),
    )
    assert json.loads(answer.body)["warnings"] == [warning.as_json()]


@pytest.mark.parametrize("name", ["signed_up", 'a"b\\c', "\u00e9\n\u2028", "x" * 200])
@pytest.mark.parametrize("status", ["stored", "duplicate", "buffered", "valid"])
def test_result_without_issues_is_the_same_as_one_with_details(
    record: Record, name: str, status: Any
) -> None:
    entry = record._replace(event=name)
    _, content = answered((entry, Outcome(EventStatus(status))))
    warned = entry._replace(warnings=(Issue("leap_second", "timestamp", "A text."),))
    _, with_warning = answered((warned, Outcome(EventStatus(status))))

    [plain], [detailed] = content["results"], with_warning["results"]
    assert list(plain) == list(detailed)
    assert plain == detailed | {"warnings": []}
