"""Engines without the short time limits of production."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.engine import create_engine
from tests.support.limits import PATIENCE_S


def patient_engine(url: str, **options: Any) -> AsyncEngine:
    """The service's engine, which waits as long as a busy machine needs."""
    limits = dict.fromkeys(
        ("pool_timeout_s", "connect_timeout_s", "command_timeout_s"), PATIENCE_S
    )
    return create_engine(url, **(limits | options))
