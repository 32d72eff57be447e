"""The shapes of answers, for OpenAPI; they are built as plain dicts, for speed.

The tests hold real answers against these.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class IssueModel(BaseModel):
    """One error or warning."""

    code: str = Field(examples=["two_digit_year"])
    path: str = Field(description="Where, in the sender's names.")
    message: str


class IndexedIssueModel(IssueModel):
    """One error or warning, and the event that has it."""

    index: int | None = Field(
        default=None, description="Of the event; absent for a warning of the request."
    )


class EventResultModel(BaseModel):
    """What became of one event."""

    model_config = ConfigDict(extra="forbid")

    index: int = Field(description="Where it stood in the body, from 0.")
    status: Literal["stored", "duplicate", "rejected", "buffered", "valid", "ignored"]
    id: str | None = Field(
        default=None,
        description="Of the row in `events`; for a rejected one in `rejected_events`.",
        json_schema_extra={"format": "uuid"},
    )
    event: str | None = Field(default=None, description="Absent where rejected.")
    timestamp: str | None = Field(
        default=None, description="ISO-8601 in UTC; absent where rejected."
    )
    warnings: list[IssueModel]
    errors: list[IssueModel] | None = Field(
        default=None, description="Why it was rejected."
    )
    kept: bool | None = Field(
        default=None, description="False where a rejected event could not be kept."
    )
    truncated: bool | None = Field(
        default=None, description="True where only 128 KiB of it were kept."
    )
    buffered: bool | None = Field(
        default=None,
        description="True where a rejected event waits in the journal to be kept.",
    )


class TrackResponseModel(BaseModel):
    """The answer to a body: all that it reports is on a disk."""

    success: bool = Field(description="Whether no event was rejected.")
    message: str
    response_id: str = Field(description="The request id, as in `X-Request-Id`.")
    stored: int
    duplicates: int
    rejected: int
    buffered: int | None = Field(
        default=None, description="Events in the journal; absent where there are none."
    )
    ignored: int | None = Field(
        default=None, description="Calls that are no events; on doors for SDKs."
    )
    results: list[EventResultModel] = Field(description="One for each event, in order.")
    warnings: list[IndexedIssueModel] | None = Field(
        default=None, description="All warnings in one list; on `/api/...`."
    )
    dry_run: bool | None = None


class ProblemModel(BaseModel):
    """Why a whole request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; for programs.")
    message: str = Field(description="The detail once more, where SDKs look for it.")
    success: Literal[False]
    response_id: str
    stored: int | None = None
    duplicates: int | None = None
    rejected: int | None = None
    errors: list[IndexedIssueModel] | None = None
    results: list[EventResultModel] | None = None
    warnings: list[IndexedIssueModel] | None = None
    dry_run: bool | None = None
