"""Reading the SQL files that a migration executes."""

import re
from importlib.resources import files

# Up to a semicolon that is in no comment, no string and no function body.
_STATEMENT = re.compile(
    r"(?:--[^\n]*|'[^']*'|\$(\w*)\$.*?\$\1\$|[^;])*;",
    re.DOTALL,
)


def statements(path: str) -> list[str]:
    """Read a file of SQL; the driver takes only one statement at a time.

    Args:
        path: below this package, such as `views/signed_up_v1.sql`.
    """
    text = files("migrations").joinpath(path).read_text(encoding="utf-8")
    return [match[0].strip() for match in _STATEMENT.finditer(text)]
