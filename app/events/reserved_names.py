"""Names that a declared event cannot have, because its typed view has the same name."""

# Tables and views of the schema. A test compares them with the metadata of `store`.
_RELATIONS = frozenset(
    {
        "alembic_version",
        "audit_log",
        "buckets",
        "erasures",
        "event_declarations",
        "event_ids",
        "events",
        "instances",
        "leases",
        "rejected_drops",
        "rejected_events",
        "sessions",
        "sign_in_codes",
        "sources",
        "write_keys",
    }
)
# Names of partitions, indexes and functions begin with these; so do Postgres's own.
_PREFIXES = (
    "event_ids_",
    "events_",
    "information_schema",
    "pg_",
    "rejected_drops_",
    "rejected_events_",
    "rollcall_",
)
# Reserved key words of Postgres 18, which every query would have to quote.
_KEY_WORD_TEXT = """
all analyse analyze and any array as asc asymmetric authorization binary both case cast
check collate collation column concurrently constraint create cross current_catalog
current_date current_role current_schema current_time current_timestamp current_user
default deferrable desc distinct do else end except false fetch for foreign freeze from
full grant group having ilike in initially inner intersect into is isnull join lateral
leading left like limit localtime localtimestamp natural not notnull null offset on only
or order outer overlaps placing primary references returning right select session_user
similar some symmetric system_user table tablesample then to trailing true union unique
user using variadic verbose when where window with
"""
_KEY_WORDS = frozenset(_KEY_WORD_TEXT.split())


def why_reserved(name: str) -> str | None:
    """The reason why an event cannot have this name; None where it can."""
    if name in _RELATIONS:
        return f"`{name}` is a table of Rollcall."
    if name == "declaration":
        return "`/schemas/declaration` is the schema of declarations."
    if name in _KEY_WORDS:
        return f"`{name}` is a reserved word of SQL."
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return f"Names that begin with `{prefix}` are reserved."
    return None
