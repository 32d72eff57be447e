import gzip
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.cli.files.validate import validate
from app.ingest.request import QueryOptions
from app.ingest.responses import build_response
from app.ingest.routes import TrackRoute
from app.pipeline.outcome import EventStatus, Outcome
from app.pipeline.record import Record
from app.pipeline.unpack import Ignored, process_events, unpack
from tests.support.cli.files import event, ndjson, run, write
from tests.support.pipeline.verdicts import POLICY, RECEIPT, SIGNED_UP, without

GOOD, OTHER = event(1), event(2, timestamp="20-11-23T22:28:55.111Z")
BAD = without(event(3), "user_id") | {"timestamp": "now"}
EVENTS = [GOOD, BAD, OTHER]
PROBLEMS = [
    ("error", "missing_field", "user_id"),
    ("error", "invalid_timestamp", "timestamp"),
    ("warning", "two_digit_year", "timestamp"),
]


def problems(text: str) -> list[tuple[str, str, str]]:
    """Severity, code and path of each line."""
    found = []
    for line in text.splitlines():
        _, said, *path, _ = line.split(": ")
        severity, code = said.split()
        found.append((severity, code, "".join(path)))
    return found


def verdicts_of_track(events: list[Any]) -> list[dict[str, Any]]:
    """What a dry run of /track says of a body."""
    unpacked = unpack(
        json.dumps(events).encode(), policy=POLICY, max_events=100, lenient=False
    )
    entries = process_events(unpacked, request_context=RECEIPT, policy=POLICY)
    outcomes = [
        Outcome(EventStatus.VALID)
        if isinstance(entry, Record | Ignored)
        else Outcome(EventStatus.REJECTED, errors=entry.errors)
        for entry in entries
    ]
    answer = build_response(
        entries,
        outcomes,
        route=TrackRoute("/track"),
        request_id="",
        options=QueryOptions(dry_run=True),
    )
    results: list[dict[str, Any]] = orjson.loads(answer.body)["results"]
    return results


@pytest.mark.parametrize("suffix", ["", ".gz", ".json", ".JSON.gz"])
@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (json.dumps(EVENTS), [1, 1, 1]),
        (json.dumps(EVENTS, indent=1), None),
        (json.dumps({"batch": EVENTS}), [1, 1, 1]),
        (json.dumps({"batch": EVENTS}, indent=2), [1, 1, 1]),
        ("\n\n".join(map(json.dumps, EVENTS)), [1, 3, 5]),
        ("\r\n".join(map(json.dumps, EVENTS)) + "\r\n", [1, 2, 3]),
        ("\ufeff\n" + "\n".join(map(json.dumps, EVENTS)), [2, 3, 4]),
    ],
)
def test_every_format_gets_the_results_of_track(
    tmp_path: Path, suffix: str, content: str, lines: list[int] | None
) -> None:
    path = write(tmp_path / f"events{suffix}", content.encode())

    result = run(validate, path, "--json", "--source", RECEIPT.source)

    found = [json.loads(line) for line in result.stdout.splitlines()]
    told = [result.pop("line") for result in found]
    assert found == verdicts_of_track(EVENTS)
    assert lines is None or told == lines
    assert result.exit_code == 1


def test_each_problem_is_printed_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "events", ndjson(*EVENTS))

    result = run(validate, path)

    assert problems(result.stdout) == PROBLEMS
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        "line 2, index 1",
        "line 2, index 1",
        "line 3, index 2",
    ]
    counts, *codes = result.stderr.splitlines()
    assert counts == "2 valid, 1 rejected, 0 not read, 1 warnings"
    assert [line.split() for line in codes] == [
        ["1", "error", "missing_field"],
        ["1", "error", "invalid_timestamp"],
        ["1", "warning", "two_digit_year"],
    ]
    assert result.exit_code == 1


def test_valid_file_prints_nothing_on_stdout(tmp_path: Path) -> None:
    result = run(validate, write(tmp_path / "events", ndjson(GOOD)))

    assert result.stdout == ""
    assert result.exit_code == 0


def test_warnings_alone_exit_with_0(tmp_path: Path) -> None:
    result = run(validate, write(tmp_path / "events", ndjson(OTHER)))

    assert problems(result.stdout) == PROBLEMS[2:]
    assert result.exit_code == 0


def test_missing_file_exits_with_2(tmp_path: Path) -> None:
    assert run(validate, tmp_path / "nothing").exit_code == 2


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b'{"a": 1,}\n', 2, "at column"),
        (b"nonsense\n", 2, "Expecting value at column 1."),
        (b'{"a": "\xff"}\n', 2, "not UTF-8 at column 8."),
        (b'{"a": 1\n', 2, "at column 8."),
        (b"[" * 2000 + b"]" * 2000 + b"\n", 2, "deeper than 1000"),
    ],
)
def test_line_that_is_not_json_is_named_and_the_rest_is_read(
    tmp_path: Path, content: bytes, line: int, reason: str
) -> None:
    path = write(tmp_path / "events", ndjson(GOOD) + content + ndjson(BAD))

    result = run(validate, path)

    first, *rest = result.stdout.splitlines()
    assert first.startswith(f"line {line}, index 1: error unreadable: ")
    assert reason in first
    assert [line.split(",")[0] for line in rest] == ["line 3", "line 3"]
    assert result.exit_code == 1


def test_first_line_that_is_broken_hides_no_other(tmp_path: Path) -> None:
    path = write(tmp_path / "events", b'{"event": "sig\n' + ndjson(BAD))

    assert problems(run(validate, path).stdout)[1:] == PROBLEMS[:2]


def test_broken_element_of_an_array_is_named_and_the_rest_is_read(
    tmp_path: Path,
) -> None:
    text = json.dumps(GOOD, indent=1)
    broken = text.replace('"user_id":', '"user_id"')
    content = f"[\n{text},\n{broken},\n{json.dumps(BAD)}\n]".encode()

    result = run(validate, write(tmp_path / "events.json", content))

    first, *rest = result.stdout.splitlines()
    [at] = [n for n, line in enumerate(content.split(b"\n")) if b'_id" "' in line]
    assert first.startswith(f"line {at + 1}, index 1: error unreadable: Expecting ':'")
    last = content.count(b"\n")
    assert [line.split(":")[0] for line in rest] == [f"line {last}, index 2"] * 2


def test_json_output_lists_unreadable_lines(tmp_path: Path) -> None:
    result = run(validate, write(tmp_path / "events.ndjson", b"x\n"), "--json")

    assert json.loads(result.stdout) == {
        "line": 1,
        "index": 0,
        "status": "unreadable",
        "warnings": [],
        "errors": [
            {
                "code": "unreadable",
                "path": "",
                "message": "Expecting value at column 1.",
            }
        ],
    }


@pytest.mark.parametrize("bytes_over", [0, 1])
def test_line_may_be_as_long_as_a_body(tmp_path: Path, bytes_over: int) -> None:
    limit = 10 * 1024 * 1024
    line = b" " * (limit - 1 - len(json.dumps(GOOD)) + bytes_over) + ndjson(GOOD)
    path = write(tmp_path / "events.ndjson.gz", line * 2 + ndjson(GOOD))

    result = run(validate, path)

    said = "2 not read" if bytes_over else "0 not read"
    assert said in result.stderr
    assert ("Longer than 10485760 bytes" in result.stdout) == bool(bytes_over)


def test_event_over_its_limit_is_rejected(tmp_path: Path) -> None:
    large = event(1, properties=SIGNED_UP["properties"] | {"x": "x" * 140_000})

    result = run(validate, write(tmp_path / "events", ndjson(large, GOOD)))

    assert problems(result.stdout) == [("error", "event_too_large", "")]


@pytest.mark.parametrize("left", [-1, -5, -30, 2, 3, 9])
@pytest.mark.parametrize("whole", [b"", ndjson(GOOD)])
def test_truncated_gzip_keeps_the_events_read_so_far(
    tmp_path: Path, whole: bytes, left: int
) -> None:
    path = tmp_path / "events.gz"
    ahead = gzip.compress(whole) if whole else b""
    path.write_bytes(ahead + gzip.compress(ndjson(BAD))[:left])

    result = run(validate, path)

    assert "damaged or cut off" in result.stdout
    assert result.stderr.startswith(f"{int(bool(whole))} valid, ")
    assert "1 not read" in result.stderr
    assert result.exit_code == 1


def test_csv_takes_the_options_of_import(tmp_path: Path) -> None:
    path = write(tmp_path / "e.csv", b"uid,at\nu1,2023-11-02T00:30:08Z\nu2,now\n")

    result = run(
        validate, path, "--map", "user_id=uid", "--map", "timestamp=at",
        "--set", "event=signed_up", "--set", "properties.email=a@b.c",
    )  # fmt: skip

    assert problems(result.stdout) == [
        ("warning", "missing_recommended", "properties.name"),
        ("error", "invalid_timestamp", "timestamp"),
        ("warning", "missing_recommended", "properties.name"),
    ]


def test_row_over_the_limit_of_an_event_is_rejected(tmp_path: Path) -> None:
    text = (
        "event,user_id,timestamp,properties.email,properties.name,properties.x\n"
        f"signed_up,u1,2023-11-02T00:30:08Z,a@b.c,A,{'x' * 140_000}\n"
        "signed_up,u2,2023-11-02T00:30:08Z,a@b.c,A,x\n"
    )

    result = run(validate, write(tmp_path / "events.csv", text.encode()))

    assert problems(result.stdout) == [("error", "event_too_large", "")]
