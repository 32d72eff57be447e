"""`rollcall events`: the declarations of the operator's own events."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.cli.configuration import read_settings
from app.cli.database import echo_err, open_checked, open_database
from app.components.catalog import load_catalog
from app.declarations.changes import breaking_changes
from app.declarations.declaration_set import (
    declaration_files,
    find_conflicts,
    read_all,
)
from app.declarations.sample import sample_errors
from app.declarations.schema_import import import_events
from app.declarations.toml_file import DeclarationFile, Problem
from app.declarations.toml_writer import write_declaration
from app.errors import ConfigurationError, OperatorError
from app.events.catalog import Catalog
from app.events.declaration import Declaration, declaration_schema
from app.events.json_schema import json_schema
from app.pages.event_docs import FieldDoc, event_doc
from app.settings import Settings
from app.store.migrations import check_schema
from app.store.typed_views.update import stored_declarations
from app.store.write.adopt import Adopted
from app.store.write.adopt import adopt as adopt_stored

events = typer.Typer(
    help="Check, list, show and import event declarations.", no_args_is_help=True
)

_SHOWN_FAILURES = 20

Directory = Annotated[
    Path | None,
    typer.Argument(
        file_okay=False,
        help="Directory of declarations. Default: ROLLCALL_EVENTS_DIR.",
        show_default=False,
    ),
]


@events.command()
def check(
    directory: Directory = None,
    *,
    allow: Annotated[
        bool, typer.Option("--allow", help="Accept incompatible changes.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not compare with the database.")
    ] = False,
) -> None:
    """Validate declarations, try their samples and compare them with the database.

    A change is incompatible if events that were accepted would be rejected. The exit
    status is 1 if there is a problem.
    """
    settings = read_settings()
    directory = directory or settings.events_dir
    if directory is None:
        raise ConfigurationError("Name a directory, or set ROLLCALL_EVENTS_DIR.")
    paths = declaration_files(directory)
    files, problems = read_all(paths)
    problems += _problems(files)
    if files and not offline:
        problems += _incompatible(files, _in_database(settings), allow=allow)
    for problem in sorted(problems):
        typer.echo(problem)
    echo_err(f"{len(paths)} declarations, {len(problems)} problems.")
    if problems:
        raise typer.Exit(1)


@events.command(name="list")
def list_all() -> None:
    """List all events that the service accepts."""
    catalog = load_catalog(read_settings())
    table = Table("event", "declared", "account", "properties", "digest", box=None)
    for name, event_type in catalog.items():
        declared = catalog.declarations.get(name)
        doc = event_doc(event_type)
        required = event_type.model.model_fields["group_id"].is_required()
        table.add_row(
            name,
            "built in" if declared is None else "in a file",
            "required" if required else "optional",
            str(len(doc.properties)),
            "" if declared is None else declared.digest,
        )
    Console(markup=False, emoji=False).print(table)
    echo_err(f"{len(catalog)} events; digest of the declared ones: {catalog.digest}.")


@events.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of the event.")],
    *,
    as_schema: Annotated[
        bool, typer.Option("--schema", help="Print the event's JSON Schema.")
    ] = False,
) -> None:
    """Show one event: its description, its properties and a sample."""
    catalog = load_catalog(read_settings())
    if name not in catalog:
        raise OperatorError(
            f"There is no event `{name}`; `rollcall events list` lists them."
        )
    if as_schema:
        typer.echo(_json(json_schema(catalog[name])))
    else:
        _print_event(catalog, name)


@events.command(name="import")
def import_file(
    file: Annotated[
        Path, typer.Argument(dir_okay=False, exists=True, help="A file of JSON.")
    ],
    *,
    output: Annotated[
        Path, typer.Option(file_okay=False, help="Directory for the declarations.")
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that exist.")
    ] = False,
) -> None:
    """Write declarations from a JSON Schema or a tracking plan of Segment.

    Everything that a declaration cannot express is named. The exit status is 1 if a
    declaration is not valid or its file exists.
    """
    try:
        found = import_events(json.loads(file.read_bytes()), file_name=file.stem)
    except (ValueError, RecursionError) as error:
        raise OperatorError(f"{file} cannot be imported: {error}") from error
    output.mkdir(parents=True, exist_ok=True)
    failed = 0
    for event in found:
        path = output / f"{event.name or 'unnamed'}.toml"
        for lost in event.lost:
            echo_err(f"{path.name}: not expressed: {lost}")
        if path.exists() and not overwrite:
            echo_err(f"{path}: exists; --overwrite replaces it.")
            failed += 1
            continue
        path.write_text(write_declaration(event.document), encoding="utf-8")
        files, problems = read_all([path])
        problems += _problems(files)
        for problem in problems:
            echo_err(str(problem))
        failed += bool(problems)
        typer.echo(path)
    echo_err(f"{len(found)} events, {failed} with problems.")
    if failed:
        raise typer.Exit(1)


@events.command()
def adopt(
    name: Annotated[str, typer.Argument(help="Name of a declared event.")],
    *,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show each event that does not pass.")
    ] = False,
) -> None:
    """Validate events that were stored before their declaration.

    It concerns events with the warning `undeclared_event` (ROLLCALL_UNKNOWN_EVENTS).
    Where one passes, the warning is removed; all events stay stored.
    """
    settings = read_settings()
    catalog = load_catalog(settings)
    if name not in catalog:
        raise OperatorError(f"There is no event `{name}`; declare it first.")
    batches: list[Adopted] = []
    with open_checked(settings) as database:
        database.run(adopt_stored, name=name, catalog=catalog, report=batches.append)
    adopted = sum(batch.adopted for batch in batches)
    failures = [failure for batch in batches for failure in batch.failures]
    for failure in failures if verbose else failures[:_SHOWN_FAILURES]:
        for error in failure.errors:
            typer.echo(f"{failure.id} {error.code} {error.path}: {error.message}")
    hidden = len(failures) - _SHOWN_FAILURES
    if hidden > 0 and not verbose:
        typer.echo(f"... and {hidden} more; --verbose shows all.")
    echo_err(f"{adopted} adopted, {len(failures)} do not pass and keep the warning.")


@events.command()
def schema() -> None:
    """Print the JSON Schema of declarations, for editors that complete TOML."""
    typer.echo(_json(declaration_schema()))


def _problems(files: list[DeclarationFile]) -> list[Problem]:
    problems = [*find_conflicts(files)]
    now = datetime.now(UTC)
    for file in files:
        errors = sample_errors(file.declaration, received_at=now)
        problems += [file.problem(error, "sample") for error in errors]
    return problems


def _in_database(settings: Settings) -> dict[str, Declaration]:
    """The declarations that the typed views were made from, if there is a database."""
    if settings.database_url is None and not (settings.data_dir / "postgres").exists():
        echo_err("There is no database yet, so changes were not checked.")
        return {}
    with open_database(settings) as database:
        database.transact(check_schema)
        return database.transact(stored_declarations)


def _incompatible(
    files: list[DeclarationFile], stored: dict[str, Declaration], *, allow: bool
) -> list[Problem]:
    problems = []
    for file in files:
        before = stored.get(file.declaration.name)
        if before is None:
            continue
        for place, message in breaking_changes(before, file.declaration):
            problem = file.problem(f"Incompatible change: {message}", *place)
            if allow:
                echo_err(f"{problem} Accepted by --allow.")
            else:
                problems.append(problem)
    return problems


def _print_event(catalog: Catalog, name: str) -> None:
    doc = event_doc(catalog[name])
    typer.echo(name)
    for paragraph in doc.purpose:
        typer.echo(f"\n{paragraph}")
    for title, fields in (
        ("Parameters", doc.parameters),
        ("Properties", doc.properties),
    ):
        typer.echo(f"\n{title}:")
        for field in fields:
            typer.echo(_field_line(field))
    typer.echo(f"\nSample:\n{_json(doc.sample)}")


def _field_line(field: FieldDoc) -> str:
    names = ", ".join(field.names)
    return f"  {names} ({field.kind}, {field.need}): {field.description}"


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
