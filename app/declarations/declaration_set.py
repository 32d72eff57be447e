"""All declarations that a service accepts, read from directories."""

from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from pydantic import TypeAdapter

from app.declarations.toml_file import DeclarationFile, Problem, read_declaration
from app.errors import ConfigurationError
from app.events.catalog import built_in_catalog
from app.events.declaration import Declaration

MAX_FILES = 1_000
_MAX_REPORTED = 20
_DECLARATIONS = TypeAdapter(Sequence[Declaration])


def to_json(declarations: Sequence[Declaration]) -> str:
    """The form in which the parent hands declarations to its workers."""
    text = _DECLARATIONS.dump_json(declarations, by_alias=True, exclude_defaults=True)
    return text.decode()


def from_json(text: str) -> Sequence[Declaration]:
    """Read what `to_json` made."""
    return _DECLARATIONS.validate_json(text)


def load_declarations(
    directory: Path | None, *, ready_folder: str | None = None
) -> Sequence[Declaration]:
    """Read all declarations, in order of their names.

    Args:
        directory: of the operator's files; None for no such files.
        ready_folder: name of a folder of ready declarations in `app/catalog`. An
            operator's declaration of the same event replaces a ready one.

    Raises:
        ConfigurationError: naming file and line of each problem.
    """
    ready, problems = read_all(ready_files(ready_folder) if ready_folder else ())
    own, own_problems = read_all(declaration_files(directory) if directory else ())
    names = {each.declaration.name for each in own}
    used = [each for each in ready if each.declaration.name not in names] + own
    problems += [*own_problems, *find_conflicts(used)]
    if problems:
        raise ConfigurationError(report(problems))
    return sorted((each.declaration for each in used), key=lambda each: each.name)


def declaration_files(directory: Path) -> list[Path]:
    """The files of a directory whose names end in `.toml`, in order.

    Raises:
        ConfigurationError: the directory cannot be read, or holds too many files.
    """
    try:
        paths = sorted(
            path
            for path in directory.iterdir()
            if path.suffix == ".toml" and not path.name.startswith(".")
        )
    except OSError as error:
        raise ConfigurationError(
            f"The directory of event declarations {directory} cannot be read:"
            f" {error.strerror}."
        ) from error
    if len(paths) > MAX_FILES:
        raise ConfigurationError(
            f"{directory} holds {len(paths)} declarations; at most {MAX_FILES} are"
            " possible."
        )
    return paths


def ready_files(folder: str) -> list[Path]:
    """The ready declarations that come with Rollcall."""
    return declaration_files(Path(str(files("app").joinpath("catalog", folder))))


def find_conflicts(read: Sequence[DeclarationFile]) -> Iterator[Problem]:
    """Names and titles that two declarations have, or that a built-in event has."""
    built_in = built_in_catalog()
    owners = dict.fromkeys(built_in, "a built-in event")
    owners |= {each.title: "a built-in event" for each in built_in.values()}
    for file in read:
        declared = file.declaration
        for name, key in ((declared.name, "name"), (declared.title, "title")):
            if name in owners:
                yield file.problem(f"{key}: `{name}` belongs to {owners[name]}.", key)
            owners[name] = str(file.path)


def report(problems: Iterable[Problem]) -> str:
    """The problems as text, one a line."""
    lines = [str(problem) for problem in problems]
    more = len(lines) - _MAX_REPORTED
    if more > 0:
        lines[_MAX_REPORTED:] = [f"... and {more} more problems."]
    return "Event declarations cannot be used:\n" + "\n".join(lines)


def read_all(paths: Iterable[Path]) -> tuple[list[DeclarationFile], list[Problem]]:
    """The valid declarations of these files, and the problems of the others."""
    valid: list[DeclarationFile] = []
    problems: list[Problem] = []
    for path in paths:
        read = read_declaration(path)
        if isinstance(read, DeclarationFile):
            valid.append(read)
        else:
            problems += read
    return valid, problems
