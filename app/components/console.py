"""Components of the operator's console, separate from those of ingest."""

from functools import partial
from pathlib import Path

from fastapi import FastAPI

from app.components.live import LiveComponents
from app.components.readers import ReadComponents
from app.pages.console.actions import action_routes
from app.pages.console.find import find_routes
from app.pages.console.operators import Operators
from app.pages.console.person import person_routes
from app.pages.console.rejected import rejected_routes
from app.pages.console.replay import replay_routes
from app.pages.console.sources import source_routes
from app.pages.quickstart_key import quickstart_key_routes
from app.pages.render import Pages
from app.pipeline.record import Policy
from app.store.engine import create_engine
from app.store.journal.fallback import journal_directory
from app.store.lifecycle.person_actions import PersonActions
from app.store.operator.rights import has_rights
from app.store.quarantine.actions import QuarantineActions
from app.store.quarantine.replay_runs import ReplayRuns
from app.store.query import ask

# Actions of operators run one at a time in each worker process.
_CONNECTIONS = 1
_TIMEOUT_S = 30.0
_CHANGE_TIMEOUT_S = 5.0
_NO_RESPONSE = "The database did not respond in time. Try again."


class ConsoleComponents:
    """Pages and actions of operators.

    Args:
        url: database URL.
        policy: by which rejected events are processed again.
        data_dir: holds the key of the quick start, journals and the state of replays.
    """

    def __init__(self, url: str, policy: Policy, *, data_dir: Path) -> None:
        self._engine = create_engine(
            url, pool_size=_CONNECTIONS, command_timeout_s=_TIMEOUT_S
        )
        self._actions = QuarantineActions(self._engine, policy)
        self._change = partial(
            ask, self._engine, timeout_s=_CHANGE_TIMEOUT_S, failure=_NO_RESPONSE
        )
        self._persons = PersonActions(url, journals=journal_directory(data_dir))
        self._data_dir = data_dir
        self.replays = ReplayRuns(data_dir)

    def install(
        self,
        app: FastAPI,
        pages: Pages,
        *,
        reading: ReadComponents,
        live: LiveComponents,
    ) -> None:
        """Add the routes."""
        readers, queries = reading.readers, reading.queries
        operators = Operators(readers, has_rights=partial(has_rights, self._engine))
        # Replays come before the routes of a single event, which take it for an id.
        for routes in (
            replay_routes(
                pages, operators=operators, actions=self._actions, runs=self.replays
            ),
            rejected_routes(
                pages,
                operators=operators,
                queries=queries,
                names=live.names,
                replays=self.replays,
            ),
            source_routes(
                pages,
                operators=operators,
                queries=queries,
                activity=live.home_reports,
                change=self._change,
            ),
            quickstart_key_routes(readers, data_dir=self._data_dir),
            find_routes(pages, operators=operators, queries=queries),
            person_routes(pages, operators=operators, actions=self._persons),
            action_routes(
                pages, operators=operators, actions=self._actions, queries=queries
            ),
        ):
            app.include_router(routes)

    async def close(self) -> None:
        """Stop the replay and close the connections."""
        await self.replays.close()
        await self._engine.dispose()
