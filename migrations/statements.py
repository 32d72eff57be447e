"""Executing the SQL files of a migration."""

from importlib.resources import files
from typing import Any

from alembic import op


def execute_script(path: str) -> None:
    """Execute a file of SQL in the migration's transaction.

    Args:
        path: below this package, such as `views/signed_up_v1.sql`.
    """
    connection = op.get_bind()
    # SQLAlchemy sends BEGIN with its first statement; the driver's would not be in it.
    connection.exec_driver_sql("SELECT 1")
    # Without parameters the driver takes a whole script, which SQLAlchemy does not.
    script = read_script(path)
    driver: Any = connection.connection.dbapi_connection
    driver.run_async(lambda asyncpg: asyncpg.execute(script))


def read_script(path: str) -> str:
    """The text of a file of SQL."""
    return files("migrations").joinpath(path).read_text(encoding="utf-8")
