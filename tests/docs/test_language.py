"""The language of the code and the documents: clauses need a noun to lean on.

Clauses such as `what is sent` or `who waits` hide the thing that they speak of; its
noun ("the payload", "the client") can be searched for. The bar is one such clause per
1,000 words, in app, migrations and documents, and also in the tests.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

BAR = 1.0
VERBS = (
    "is are was were has have had can cannot may might must will would should does do "
    "did"
)
VERB = rf"(?:{'|'.join(VERBS.split())}|[a-z]+(?:s|ed))"
CLAUSE = re.compile(
    rf"(?P<before>[\w`')]+|[^\w\s])?\s*\b(?P<word>what|who|whom|whose)\b\s+"
    rf"(?:\w+\s+){{0,2}}?{VERB}\b",
    re.IGNORECASE,
)
# "It says what happened" is an ordinary indirect question.
ASKING = re.compile(
    r"know|see|show|say|decide|explain|describe|report|check|find|understand|learn|ask"
    r"|tell|define|determine|^(?:on|about|exactly)$"
)
# Before "who": words that cannot be the noun of a relative clause.
NOT_A_NOUN = frozenset(
    [
        "to",
        "of",
        "for",
        "by",
        "from",
        "with",
        "and",
        "or",
        "but",
        "than",
        "as",
        "that",
        "is",
        "are",
        "when",
        "while",
        "if",
    ]
)


def headless_clauses(text: str) -> Iterator[str]:
    """Each clause without a noun, with the word before it."""
    for match in CLAUSE.finditer(text):
        before = (match["before"] or "").lower()
        if match["word"].lower() == "what":
            headless = not ASKING.search(before)
        else:
            headless = before in NOT_A_NOUN or not re.match(r"[\w`')]", before)
        if headless:
            yield match[0].strip()


def texts_of_code(path: Path) -> Iterator[str]:
    """Docstrings and comments."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ):
            yield ast.get_docstring(node) or ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.lstrip("#! ")


def texts_of_document(path: Path) -> Iterator[str]:
    """Markdown without its code."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    yield re.sub(r"`[^`\n]*`", "`x`", text)


def measure(texts: Iterable[str]) -> tuple[float, list[str]]:
    """Headless clauses per 1,000 words, and the clauses."""
    words = 0
    found: list[str] = []
    for text in texts:
        words += len(text.split())
        found += headless_clauses(text)
    return 1_000 * len(found) / max(words, 1), found


def sources(folder: str) -> Iterator[Path]:
    """Python files of a folder, without those that npm installed."""
    for path in (ROOT / folder).rglob("*.py"):
        if "node_modules" not in path.parts:
            yield path


@pytest.mark.parametrize("folders", [("app", "migrations"), ("tests",)])
def test_code_speaks_of_things_by_their_nouns(folders: tuple[str, ...]) -> None:
    paths = [path for folder in folders for path in sources(folder)]
    rate, found = measure(text for path in paths for text in texts_of_code(path))
    assert rate <= BAR, found


def test_documents_speak_of_things_by_their_nouns() -> None:
    paths = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    rate, found = measure(text for path in paths for text in texts_of_document(path))
    assert rate <= BAR, found


@pytest.mark.parametrize(
    "text",
    [
        "What is sent is stored.",
        "Ask for who waits.",
        "It returns what was found there.",
    ],
)
def test_clause_without_a_noun_is_found(text: str) -> None:
    assert [*headless_clauses(text)]


@pytest.mark.parametrize(
    "text",
    [
        "The log says what was sent.",
        "A client who waits longer.",
        "The payload is stored.",
    ],
)
def test_clause_with_a_noun_or_a_question_passes(text: str) -> None:
    assert not [*headless_clauses(text)]
