"""Writing a declaration as a TOML file."""

import json
from collections.abc import Iterator
from typing import Any


def write_declaration(document: dict[str, Any]) -> str:
    """The TOML text of a declaration, from the keys of `Declaration`."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: dict[str, Any]) -> Iterator[str]:
    for key, value in document.items():
        if key == "sample":
            yield "sample = " + _sample(value)
        elif key != "properties":
            yield f"{key} = {_value(value)}"
    for name, declared in document.get("properties", {}).items():
        yield ""
        yield f"[properties.{name}]"
        for key, value in declared.items():
            yield f"{key} = {_value(value)}"


def _sample(text: str) -> str:
    """A literal string, in which nothing has to be escaped, where that is possible."""
    if "'''" in text:
        return json.dumps(text, ensure_ascii=False)
    return f"'''\n{text}\n'''"


def _value(value: Any) -> str:
    """Text, numbers, booleans and lists of text; TOML writes them as JSON does."""
    return json.dumps(value, ensure_ascii=False)
