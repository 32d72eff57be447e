"""Writing a declaration as a TOML file."""

import json
from collections.abc import Iterator
from typing import Any


def write_declaration(document: dict[str, Any]) -> str:
    """The TOML text of a declaration, from the keys of `Declaration`."""
    tables = document.get("properties", {})
    lines = [*_lines({key: document[key] for key in document if key != "properties"})]
    for name, declared in tables.items():
        lines += ["", f"[properties.{name}]", *_lines(declared)]
    return "\n".join(lines) + "\n"


def _lines(table: dict[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        # Texts, numbers, booleans and lists of texts: TOML writes them as JSON does.
        text = json.dumps(value, ensure_ascii=False)
        if key == "sample" and "'''" not in value:
            text = f"'''\n{value}\n'''"  # literal: nothing has to be escaped
        yield f"{key} = {text}"
