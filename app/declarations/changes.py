"""Changes of a declaration that would reject events which were accepted before."""

from collections.abc import Iterator

from app.events.declaration import Declaration


def breaking_changes(
    before: Declaration, after: Declaration
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Place and description of each incompatible change."""
    if after.account_required and not before.account_required:
        yield ("account_required",), "account_required: was false."
    for name, declared in after.properties.items():
        place = ("properties", name)
        known = before.properties.get(name)
        if known is None:
            if declared.required:
                yield (*place, "required"), f"{name}: a new property is required."
            continue
        if declared.type != known.type:
            yield (
                (*place, "type"),
                f"{name}: the type was `{known.type}`, and is `{declared.type}`.",
            )
        if declared.required and not known.required:
            yield (*place, "required"), f"{name}: was not required."
        missing = {*(known.values or ())} - {*(declared.values or ())}
        if declared.values is not None and missing:
            yield (
                (*place, "values"),
                f"{name}: no longer allows {', '.join(sorted(missing))}.",
            )
