"""`create_app`: builds the ASGI app from the settings. Nothing is built at import."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.api.allowed_hosts import AllowedHosts
from app.api.documents import PublicDocuments
from app.api.health import RecalledReadiness, health_routes
from app.api.openapi import openapi_document
from app.api.ready_refusals import ReadyRefusals
from app.api.schemas import schema_routes
from app.api.security_headers import SecurityHeaders
from app.components.catalog import load_catalog
from app.components.service import Service
from app.events.catalog import Catalog
from app.http.connection import CONNECTION_SERVICES, ConnectionServices
from app.ingest.counting import metric_labels
from app.ingest.dispatch import Dispatcher
from app.ingest.routes import TRACK_ROUTES
from app.logs import RequestLog, configure_logs
from app.metrics.catalog import WORKERS_BY_DECLARATIONS
from app.metrics.counters import Metrics
from app.pages.api_reference import reference_routes
from app.pages.console.home import home_routes
from app.pages.error_handlers import install_error_handlers
from app.pages.reference import event_routes
from app.pages.render import Pages
from app.pages.static_files import StaticFiles, static_routes
from app.pipeline.json_decode import allow_deep_bodies
from app.settings import Settings


def create_app(
    settings: Settings,
    metrics_dir: Path | None = None,
    catalog: Catalog | None = None,
) -> Dispatcher:
    """Build the service as an ASGI app.

    Args:
        settings: settings with the URL of a migrated database.
        metrics_dir: directory for the metrics of all workers (`app.metrics`); None for
            a single process.
        catalog: accepted events; None to read them as the settings say.

    Raises:
        ConfigurationError: the database URL is missing or invalid.
    """
    configure_logs(settings.log_level)
    catalog = load_catalog(settings) if catalog is None else catalog
    metrics = Metrics(metric_labels() | {"digest": (catalog.digest,)}, metrics_dir)
    metrics.set(WORKERS_BY_DECLARATIONS, catalog.digest, to=1)
    requests = RequestLog(
        sys.stderr.buffer,
        enabled=settings.log_level in {"debug", "info"},
        is_text=sys.stderr.isatty(),
    )
    allow_deep_bodies()
    service = Service(settings, metrics=metrics, catalog=catalog, requests=requests)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with service.running():
            yield {CONNECTION_SERVICES: ConnectionServices(service.monitor, dispatcher)}

    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        title="Rollcall",
        summary="Stores B2B SaaS lifecycle events, and commits before it responds.",
        version=version("rollcall"),
        lifespan=lifespan,
        redirect_slashes=False,
    )
    # The scheme and the client behind a proxy, which event routes do not use.
    app.add_middleware(
        ProxyHeadersMiddleware,
        trusted_hosts=settings.trusted_proxies or "127.0.0.1",
    )
    app.include_router(health_routes(service.readiness, declarations=catalog.digest))
    app.include_router(schema_routes(catalog))
    app.include_router(service.metrics_routes)
    files = StaticFiles()
    pages = Pages(files)
    app.include_router(static_routes(files))
    app.include_router(
        home_routes(
            pages,
            readers=service.reading.readers,
            state_reader=service.state_reader,
            reports=service.live.home_reports,
            differences=lambda: service.instances.differences,
        )
    )
    app.include_router(event_routes(pages, catalog))
    document = cache(lambda: openapi_document(app, TRACK_ROUTES, catalog))
    app.include_router(reference_routes(pages, document))
    service.reading.install(app, pages)
    service.live.install(app, pages, readers=service.reading.readers)
    service.console.install(app, pages, reading=service.reading, live=service.live)
    install_error_handlers(app, pages)
    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own documented way
    hosts = (settings.allowed_hosts or "").replace(" ", "").split(",")
    documents = PublicDocuments(
        SecurityHeaders(
            RecalledReadiness(app, service.readiness, declarations=catalog.digest)
        ),
        public=public_paths(catalog, files),
        anonymous={"/", "/sign-in"},
        alias=files.alias,
        # With 200 declared events it takes seconds, which the event loop has not.
        slow=dict.fromkeys(("/openapi.json", "/docs"), document),
    )
    paths = [route.path for route in iter_route_contexts(app.routes) if route.path]
    refusals = ReadyRefusals(documents, paths)
    dispatcher = Dispatcher(
        TRACK_ROUTES,
        services=service.ingest,
        rest=AllowedHosts(refusals, [host for host in hosts if host]),
        is_known_reader=service.reading.readers.is_known,
    )
    return dispatcher


def public_paths(catalog: Catalog, files: StaticFiles) -> frozenset[str]:
    """The paths whose responses are made once."""
    return frozenset(
        {
            "/docs",
            "/events",
            "/livez",
            "/openapi.json",
            "/schemas",
            "/schemas/declaration",
            *(f"/events/{name}" for name in catalog),
            *(f"/schemas/{name}" for name in catalog),
            *files.paths,
        }
    )
