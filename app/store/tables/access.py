"""The tables of sources, keys and browser sessions."""

from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    LargeBinary,
    Table,
    Text,
    func,
    text,
)

from app.store.tables.columns import INSTANT, column, metadata, optional


def _hash(name: str, comment: str) -> Column[Any]:
    check = CheckConstraint(f"octet_length({name}) = 32", name=name)
    return column(name, LargeBinary, comment, check, primary_key=True)


def _key(comment: str) -> Column[Any]:
    return column("key_id", Text, comment, ForeignKey("write_keys.id"))


def _life(began: str) -> tuple[Column[Any], Column[Any]]:
    return (
        column("created_at", INSTANT, f"When {began}", server_default=func.now()),
        column("expires_at", INSTANT, "From then on it is worth nothing"),
    )


sources = Table(
    "sources",
    metadata,
    column(
        "name",
        Text,
        "The sender's name, such as billing-backend: 1 to 63 of a-z 0-9 . _ -",
        CheckConstraint("name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'", name="name"),
        primary_key=True,
    ),
    column(
        "created_at",
        INSTANT,
        "When the source was registered",
        server_default=func.now(),
    ),
    comment="The named senders; each may hold several live write keys",
)

write_keys = Table(
    "write_keys",
    metadata,
    column(
        "id",
        Text,
        "Public name of the key: the first 12 hex digits of its SHA-256",
        primary_key=True,
    ),
    column(
        "key_hash",
        LargeBinary,
        "SHA-256 of the key; the key itself is stored nowhere",
        CheckConstraint("octet_length(key_hash) = 32", name="key_hash"),
        unique=True,
    ),
    column(
        "source",
        Text,
        "The source of the events sent with the key; of other scopes, the holder",
        ForeignKey("sources.name"),
    ),
    column("created_at", INSTANT, "When the key was made", server_default=func.now()),
    optional("revoked_at", INSTANT, "When the key was revoked; NULL while it is live"),
    column(
        "scope",
        Text,
        "write, metrics, read, read:SOURCE, operate or erase",
        CheckConstraint(
            "scope ~ '^(write|metrics|read|read:[a-z0-9][a-z0-9._-]{0,62}"
            "|operate|erase)$'",
            name="scope",
        ),
        server_default=text("'write'"),
    ),
    optional(
        "expires_at", INSTANT, "When the key stops working; NULL if it never does"
    ),
    optional("note", Text, "Remark of the operator; NULL if there is none"),
    optional(
        "last_used_on",
        Date,
        "Day (UTC) of the last use, recorded once an hour; NULL if never used",
    ),
    comment="The keys of senders, readers and operators; `rollcall keys` manages them",
)

sessions = Table(
    "sessions",
    metadata,
    _hash("token_hash", "SHA-256 of the session's token, which only the browser has"),
    _key("Whose session it is: it ends with this read key"),
    *_life("the browser signed in"),
    comment="Browsers that are signed in",
)

sign_in_codes = Table(
    "sign_in_codes",
    metadata,
    _hash("code_hash", "SHA-256 of the code, which only the link has"),
    _key("The read key that the code signs in with"),
    *_life("the code was made"),
    comment="Codes that sign a browser in, each once; `rollcall serve` prints them",
)
