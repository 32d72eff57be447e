"""Query parameters of the read API."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.pipeline.timestamp import TimestampError, read_text

MAX_LIMIT = 1_000


def _read_instant(text: object) -> object:
    """ISO-8601 as events have it; without an offset it is UTC, years have 4 digits."""
    if not isinstance(text, str):
        return text
    try:
        instant, _ = read_text(text, two_digit_year="reject")
    except TimestampError as error:
        raise ValueError(error.message) from None
    except OverflowError:
        raise ValueError("Expected a year from 0001 to 9999.") from None
    return instant


# Postgres stores no NUL, so nothing is found by one.
Wanted: TypeAlias = Annotated[
    str | None, Field(default=None, max_length=255, pattern="^[^\\x00]*$")
]
Instant: TypeAlias = Annotated[
    datetime | None, BeforeValidator(_read_instant), Field(default=None)
]


# Fields of a form of a page; empty ones are sent as empty text.
_EMPTY_IS_NONE = BeforeValidator(lambda value: None if value == "" else value)
FormText: TypeAlias = Annotated[Wanted, _EMPTY_IS_NONE]
FormInstant: TypeAlias = Annotated[Instant, _EMPTY_IS_NONE]


class PageQuery(BaseModel):
    """Which page, and in which form."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Parameters of the form of a page, which select no rows.
    FORM: ClassVar[set[str]] = {"limit", "cursor", "format"}

    limit: int = Field(default=100, ge=1, le=MAX_LIMIT, description="The most rows.")
    cursor: str | None = Field(
        default=None,
        max_length=100,
        description="The `next_cursor` of the page before; all else stays the same.",
    )
    format: Literal["json", "ndjson"] | None = Field(
        default=None,
        description="`ndjson` is one row a line, as is `Accept: application/x-ndjson`.",
    )

    def filters(self) -> dict[str, Any]:
        """The parameters that select rows, by name."""
        return self.model_dump(exclude=self.FORM)


class EventQuery(PageQuery):
    """Which stored events: those that match every given part."""

    id: UUID | None = Field(default=None, description="Of one event.")
    event: Wanted = Field(description="Its name, such as `signed_up`.")
    source: Wanted = Field(description="Who sent it.")
    user_id: Wanted = Field(description="The user it is about, as sent.")
    group_id: Wanted = Field(description="The account it is about, as sent.")
    message_id: Wanted = Field(description="The sender's own id of it.")
    since: Instant = Field(description="It happened then or later, says the sender.")
    until: Instant = Field(description="It happened earlier.")
    stored_since: Instant = Field(description="It was stored then or later.")
    stored_until: Instant = Field(description="It was stored earlier.")


class RejectedQuery(PageQuery):
    """Which rejected events: those that match every given part."""

    id: UUID | None = Field(default=None, description="Of one of them.")
    reason: Wanted = Field(description="Code of the first error.")
    event: Wanted = Field(description="Its name as sent.")
    source: Wanted = Field(description="Who sent it.")
    message_id: Wanted = Field(description="The sender's own id of it.")
    since: Instant = Field(description="It was received then or later.")
    until: Instant = Field(description="It was received earlier.")
