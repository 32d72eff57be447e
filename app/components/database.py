"""The database URLs that the settings name."""

from app.settings import Settings
from app.store.dsn import with_pooler


def database_url(settings: Settings) -> str | None:
    """URL of the database that takes writes; None for the embedded one."""
    if settings.database_url is None:
        return None
    return _marked(settings.database_url.get_secret_value(), settings)


def read_url(settings: Settings, *, default: str) -> str:
    """URL of the database that pages, the read API and exports read."""
    if settings.read_url is None:
        return default
    return _marked(settings.read_url.get_secret_value(), settings)


def _marked(url: str, settings: Settings) -> str:
    return with_pooler(url) if settings.pooler == "transaction" else url
