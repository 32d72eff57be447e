"""Documented metrics and alerts, compared with the code."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from app.ingest.counting import metric_labels
from app.metrics.catalog import LABELS, METRICS, OTHER, UNANSWERED, Metric
from app.metrics.counters import Metrics
from app.request_errors import REQUEST_ERRORS
from tests.conftest import ROOT
from tests.docs.test_docs import ERRORS, REFUSALS, WARNINGS
from tests.support.docs.markdown import blocks, named, read, section, table

MONITORING = read("docs/monitoring.md")
ROWS = {named(row, "metric")[0]: row for row in table(MONITORING, "Metrics")}
BY_NAME = {metric.name: metric for metric in METRICS}
[GROUP] = yaml.safe_load(read("docs/alerts.yaml"))["groups"]
RULES: list[dict[str, Any]] = GROUP["rules"]
RULE_IDS = [rule["alert"] for rule in RULES]
SERIES = re.compile(r"\b(rollcall_\w+|up)(?:\{(.*?)\})?")
MATCHER = re.compile(r'(\w+)(=~|!=|=)"(.*?)"')
# Labels that Prometheus adds to every series.
OF_PROMETHEUS = {"job", "instance"}


def test_documented_metrics_are_the_metrics() -> None:
    assert list(ROWS) == [*BY_NAME]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_documented_metric_matches_the_catalog(metric: Metric) -> None:
    row = ROWS[metric.name]
    assert row["type"] == metric.kind
    assert tuple(re.findall(r"`(\w+)`", row["labels"])) == metric.labels
    assert row["meaning"] == metric.help


def test_label_sets_hold_every_code_and_status() -> None:
    values = {name: {*each} for name, each in (LABELS | metric_labels()).items()}
    assert values["reason"] == ERRORS
    assert values["warning"] == WARNINGS
    statuses = {str(kind.status) for kind in REQUEST_ERRORS}
    assert values["status"] >= statuses | {"200", "303", "422", UNANSWERED}


def test_every_error_code_has_a_series() -> None:
    series = Metrics(metric_labels()).series(BY_NAME["rollcall_refusals_total"])
    assert {code for [code] in series} == REFUSALS.keys() - {"all_rejected"} | {OTHER}


def series_of(expr: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    for name, matchers in SERIES.findall(expr):
        yield name, MATCHER.findall(matchers)


@pytest.mark.parametrize("rule", RULES, ids=RULE_IDS)
def test_alert_uses_existing_series(rule: dict[str, Any]) -> None:
    metrics = Metrics(metric_labels())
    asked = list(series_of(rule["expr"]))
    assert asked
    for name, matchers in asked:
        if name == "up":
            continue
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        metric = BY_NAME.get(name) or BY_NAME[base]
        assert (name == metric.name) == (metric.kind != "histogram")
        series = [*metrics.series(metric)]
        for label, _, pattern in matchers:
            position = metric.labels.index(label)
            known = {values[position] for values in series}
            assert set(pattern.split("|")) <= known, (name, label)


@pytest.mark.parametrize("rule", RULES, ids=RULE_IDS)
def test_alert_on_an_increase_sees_the_first_one(rule: dict[str, Any]) -> None:
    # Prometheus sees no increase in a series that begins with its first count.
    for name in re.findall(r"increase\((\w+)", rule["expr"]):
        assert not BY_NAME[name].sparse


@pytest.mark.parametrize("rule", RULES, ids=RULE_IDS)
def test_alert_is_well_formed(rule: dict[str, Any]) -> None:
    expr = rule["expr"]
    for opening, closing in ("()", "{}", "[]"):
        assert expr.count(opening) == expr.count(closing)
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"].keys() == {"summary", "description"}
    for metric in METRICS:  # a bare counter only grows
        if metric.kind == "counter" and metric.name in expr:
            counted = rf"(?:rate|increase)\({metric.name}(?:\{{[^}}]*\}})?\["
            assert re.search(counted, expr)
    for grouped in re.findall(r"by \((.*?)\)", expr):
        assert set(grouped.split(", ")) <= OF_PROMETHEUS | {"le", "source"}


def test_documented_alerts_are_the_alerts() -> None:
    told = {
        named(row, "alert")[0]: (row["meaning"], row["first step"])
        for row in table(MONITORING, "Alerts")
    }
    assert told == {
        rule["alert"]: tuple(rule["annotations"][name] for name in rule["annotations"])
        for rule in RULES
    }
    assert len(RULE_IDS) == len(set(RULE_IDS))


def test_documented_scrape_config_is_valid() -> None:
    [sample] = blocks(section(MONITORING, "Metrics"), "yaml")
    config = yaml.safe_load(sample)
    [job] = config["scrape_configs"]
    # The alert on `up` has this job name.
    assert job["job_name"] == "rollcall"
    assert job["authorization"].keys() == {"credentials_file"}
    assert job.get("metrics_path", "/metrics") == "/metrics"
    assert [rules.rpartition("/")[2] for rules in config["rule_files"]] == [
        "alerts.yaml"
    ]
    assert (ROOT / "docs/alerts.yaml").is_file()
