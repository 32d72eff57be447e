"""The catalog of events, made from the settings."""

from app.declarations.declaration_set import DeclarationSet, load_declarations
from app.events.catalog import Catalog
from app.settings import Settings


def read_declarations(settings: Settings) -> DeclarationSet:
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
    return read_declarations(settings).catalog()
