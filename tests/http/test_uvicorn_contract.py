"""What `app.http` needs of uvicorn, so that an upgrade that changes it fails here."""

import asyncio
import inspect
from importlib.metadata import version
from pathlib import Path
from typing import Any

from uvicorn.config import Config
from uvicorn.server import Server, ServerState

import app
from app.http.connection import Connection


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Nothing that is called here."""


def test_uvicorn_is_the_release_that_the_connection_was_written_for() -> None:
    assert version("uvicorn").split(".")[:2] == ["0", "54"]


def test_setting_http_takes_a_protocol_class() -> None:
    config = Config(application, http=Connection)
    config.load()

    assert config.http_protocol_class is Connection
    assert config.loaded_app is not None


def test_server_creates_a_connection_with_these_arguments() -> None:
    source = inspect.getsource(Server.startup)
    for argument in ("config=config", "server_state=", "app_state=", "_loop=_loop"):
        assert argument in source
    parameters = inspect.signature(Connection).parameters
    assert [*parameters] == ["config", "server_state", "app_state", "_loop"]


def test_server_state_provides_the_interface_of_a_connection() -> None:
    state = ServerState()

    assert (state.connections, state.tasks) == (set(), set())
    assert (state.total_requests, state.default_headers) == (0, [])


async def test_server_makes_a_new_list_of_default_headers_each_second() -> None:
    server = Server(Config(application, http=Connection))
    server.config.load()
    await server.on_tick(0)
    first = server.server_state.default_headers
    assert [name for name, _ in first if name == b"date"] == [b"date"]
    await server.on_tick(1)
    assert server.server_state.default_headers is first
    await server.on_tick(10)
    assert server.server_state.default_headers is not first


def test_connection_is_an_asyncio_protocol_that_can_be_shut_down() -> None:
    assert issubclass(Connection, asyncio.Protocol)
    assert callable(Connection.shutdown)
    assert "connection.shutdown()" in inspect.getsource(Server.shutdown)


def test_no_module_imports_uvicorns_protocols() -> None:
    sources = Path(app.__file__).parent.rglob("*.py")

    assert not [path for path in sources if "uvicorn.protocols" in path.read_text()]
