"""The catalog of events, made from the settings."""

from collections.abc import Sequence

from app.declarations.declaration_set import load_declarations
from app.events.catalog import Catalog, built_in_catalog
from app.events.declaration import Declaration
from app.settings import Settings


def read_declarations(settings: Settings) -> Sequence[Declaration]:
    """Read the declarations that the settings name.

    Raises:
        ConfigurationError: naming file and line of each problem.
    """
    return load_declarations(settings.events_dir, ready_folder=settings.ready_events)


def load_catalog(settings: Settings) -> Catalog:
    """The built-in events and the declared ones.

    Raises:
        ConfigurationError: naming file and line of each problem.
    """
    return make_catalog(settings, read_declarations(settings))


def make_catalog(settings: Settings, declarations: Sequence[Declaration]) -> Catalog:
    """The built-in events and declared ones that have been read already."""
    return Catalog(
        built_in_catalog().values(),
        declarations,
        accepts_undeclared=settings.unknown_events == "accept",
    )
