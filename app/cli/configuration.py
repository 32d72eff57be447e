"""The settings of a command, or an error that names the variable."""

from typing import Any

from pydantic import ValidationError

from app.environment import environment_problems, process_environment
from app.errors import ConfigurationError
from app.settings import Settings


def read_settings(**overrides: Any) -> Settings:
    """Read the settings of this process.

    Args:
        overrides: values by field name that replace those of the environment; None
            counts as absent.

    Raises:
        ConfigurationError: with every variable that is unknown or invalid.
    """
    environ = process_environment()
    if problems := list(environment_problems(Settings.model_fields, environ)):
        raise ConfigurationError("; ".join(problems))
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
