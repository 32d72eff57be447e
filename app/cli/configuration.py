"""The settings of a command, or an error that names the variable."""

from typing import Any

from pydantic import ValidationError

from app.errors import ConfigurationError
from app.settings import Settings


def read_settings(**overrides: Any) -> Settings:
    """The settings of this process; an override of None counts as absent.

    Raises:
        ConfigurationError: naming each variable that cannot be used.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise ConfigurationError(
            "; ".join(
                "_".join(["ROLLCALL", *map(str, detail["loc"])]).upper()
                + f": {detail['msg']}"
                for detail in error.errors(include_url=False, include_input=False)
            )
        ) from None
