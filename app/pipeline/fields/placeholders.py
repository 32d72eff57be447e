"""Placeholders: texts that programs write as an id where there is no value."""

# docs/wire.md lists them; compared without surrounding white space, in lower case.
WORDS = frozenset(
    {
        "undefined",
        "null",
        "none",
        "nil",
        "nan",
        r"\n",
        "[object object]",
        "00000000-0000-0000-0000-000000000000",
    }
)
_UNRENDERED = (("{{", "}}"), ("${", "}"))


def is_placeholder(text: str) -> bool:
    """Whether an id is white space alone, a word for no value, or a bare template.

    An empty text is none of these: it is an error of its own.
    """
    stripped = text.strip()
    if stripped.lower() in WORDS:
        return True
    if not stripped:
        return text != ""
    return any(
        stripped.startswith(start) and stripped.endswith(end)
        for start, end in _UNRENDERED
    )
