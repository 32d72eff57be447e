"""Placeholders: texts that programs write as an id in place of a missing value."""

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
_TEMPLATE_STARTS = tuple(start for start, _ in _UNRENDERED)
# Most ids begin with none of these, and need no closer look.
_WHITE_SPACE = "".join(filter(str.isspace, map(chr, range(0x3001))))
FIRST_CHARACTERS = frozenset("uUnN[0\\{$" + _WHITE_SPACE)


def is_placeholder(text: str) -> bool:
    """Whether an id is white space alone, a word for no value, or a bare template.

    An empty text is not one: it is an error of its own.
    """
    if text[:1] not in FIRST_CHARACTERS:
        return False
    stripped = text.strip()
    if stripped.lower() in WORDS or not stripped:
        return True
    # Ids such as `user_1` end here.
    return stripped.startswith(_TEMPLATE_STARTS) and any(
        stripped.startswith(start) and stripped.endswith(end)
        for start, end in _UNRENDERED
    )
