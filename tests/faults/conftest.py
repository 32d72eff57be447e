"""The stage of the fault tests, and their table of figures.

`make test` runs the quick ones; `--faults` all, `--soak SECONDS` the soak as long.
"""

import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.conftest import ROOT
from tests.support.faults.figures import Row, render, write_json
from tests.support.faults.postgres import SETTINGS, Postgres, own_postgres
from tests.support.faults.stage import Serve, Stage, new_key
from tests.support.limits import DEFAULT, GENEROUS
from tests.support.postgres.proxy import Proxy
from tests.support.service.process import Service, environment, forked, serving

FIGURES = "faults"
# Beside tests that take the machine's time a bar on a time says little.
_QUICK_SLACK = 6.0

NewRow = Callable[[str, str], Row]
Limits = Mapping[str, str]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--faults", action="store_true", help="run all faults, at length")
    group.addoption("--soak", type=float, default=60, help="seconds of the soak")


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    if config.getoption("--faults", default=False):
        return
    skip = pytest.mark.skip(reason="takes long; make faults runs it")
    for item in items:
        if item.get_closest_marker("at_length"):
            item.add_marker(skip)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    figures = [
        figure
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "teardown"
        for name, found in report.user_properties
        if name == FIGURES
        for figure in found
    ]
    if not figures:
        return
    write_json(figures, ROOT / "tests" / "faults" / "results" / "figures.json")
    terminalreporter.section("faults: bars and figures")
    for line in render(figures):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def at_length(request: pytest.FixtureRequest) -> bool:
    """Whether there is time for all of it."""
    return bool(request.config.getoption("--faults", default=False))


@pytest.fixture
def limits(*, at_length: bool) -> Limits:
    """Limits of a service that must not fail, for all that the machine may be busy."""
    return DEFAULT if at_length else GENEROUS


@pytest.fixture
def new_row(
    record_property: Callable[[str, object], None], *, at_length: bool
) -> Iterator[NewRow]:
    """Make a row of the table; it is told even if the test fails."""
    rows: list[Row] = []

    def make(name: str, fault: str) -> Row:
        rows.append(Row(name, fault, slack=1.0 if at_length else _QUICK_SLACK))
        return rows[-1]

    yield make
    record_property(FIGURES, [figure for row in rows for figure in row.as_dicts()])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with own_postgres(Path("/tmp"), SETTINGS) as server:  # noqa: S108 - mkdtemp in it
        yield server


@pytest.fixture
def serve(tmp_path: Path, *, at_length: bool) -> Iterator[Serve]:
    """Start services: programs at length, else forked processes where they suffice."""
    with ExitStack() as stack:

        def start(
            *arguments: str,
            port: int = 0,
            listener: socket.socket | None = None,
            environ: Mapping[str, str] = MappingProxyType({}),
            limits: Limits = DEFAULT,
            **settings: str,
        ) -> Service:
            settings.setdefault("data_dir", str(tmp_path / "state"))
            needs_program = at_length or environ or listener is not None
            kind = partial(serving, listener=listener) if needs_program else forked
            return stack.enter_context(
                kind(
                    *("--port", str(port), *arguments),
                    env={**environment(**{**limits, **settings}), **environ},
                    log=tmp_path / "log.jsonl",
                )
            )

        yield start


@pytest.fixture(params=[False], ids=["plain"])
def journal(request: pytest.FixtureRequest) -> bool:
    """Whether the service may buffer; rows ask for both by parametrizing it."""
    return bool(request.param)


@pytest.fixture
async def stage(
    postgres: Postgres, serve: Serve, *, journal: bool
) -> AsyncIterator[Stage]:
    """A database of the row's own, and a function that starts services on it."""
    url = await postgres.new_database()
    key = await new_key(url)
    yield Stage(postgres, url, key, serve, journal)
    await postgres.drop(url)


@pytest.fixture
async def proxied(stage: Stage) -> AsyncIterator[Stage]:
    """The same, with a proxy before the database."""
    async with Proxy(stage.url).listening() as proxy:
        stage.proxy = proxy
        yield stage
