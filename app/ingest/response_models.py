"""The shapes of answers, for OpenAPI; they are built as plain dicts, for speed.

The tests hold real answers against these.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class IssueModel(BaseModel):
    """One error or warning."""

    code: str = Field(examples=["two_digit_year"])
    path: str = Field(description="Path of the field, in the names of the sender.")
    message: str


class IndexedIssueModel(IssueModel):
    """One error or warning, and the event that has it."""

    index: int | None = Field(
        default=None,
        description="Index of the event; absent for a warning of the request.",
    )


class EventResultModel(BaseModel):
    """What became of one event."""

    model_config = ConfigDict(extra="forbid")

    index: int = Field(description="Position of the event in the body, from 0.")
    status: Literal["stored", "duplicate", "rejected", "buffered", "valid", "ignored"]
    id: str | None = Field(
        default=None,
        description="Id of the row in `events`, or in `rejected_events`.",
        json_schema_extra={"format": "uuid"},
    )
    event: str | None = Field(
        default=None, description="Event name; absent if rejected."
    )
    timestamp: str | None = Field(
        default=None, description="ISO-8601 in UTC; absent if rejected."
    )
    warnings: list[IssueModel]
    errors: list[IssueModel] | None = Field(
        default=None, description="Errors of a rejected event."
    )
    kept: bool | None = Field(
        default=None, description="False if a rejected event was not kept."
    )
    truncated: bool | None = Field(
        default=None, description="True if only 128 KiB of the payload were kept."
    )
    buffered: bool | None = Field(
        default=None,
        description="True if a rejected event is in the journal.",
    )


class TrackResponseModel(BaseModel):
    """The answer to a body: all that it reports is on a disk."""

    success: bool = Field(description="Whether no event was rejected.")
    message: str = Field(description="One sentence for a person.")
    response_id: str = Field(description="Id of the request, as in `X-Request-Id`.")
    stored: int = Field(description="Number of events that were stored.")
    duplicates: int = Field(description="Number of events that had been stored before.")
    rejected: int = Field(description="Number of events that were rejected.")
    buffered: int | None = Field(
        default=None, description="Number of events in the journal; absent if 0."
    )
    ignored: int | None = Field(
        default=None, description="Number of SDK calls that are not events."
    )
    results: list[EventResultModel] = Field(description="One for each event, in order.")
    warnings: list[IndexedIssueModel] | None = Field(
        default=None, description="All warnings in one list; on `/api/...`."
    )
    dry_run: bool | None = Field(
        default=None, description="True if nothing was stored because you asked so."
    )


class ProblemModel(BaseModel):
    """Why a whole request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable code for programs.")
    message: str = Field(
        description="Same text as `detail`, in the field that SDKs read."
    )
    success: Literal[False]
    response_id: str
    stored: int | None = None
    duplicates: int | None = None
    rejected: int | None = None
    errors: list[IndexedIssueModel] | None = None
    results: list[EventResultModel] | None = None
    warnings: list[IndexedIssueModel] | None = None
    dry_run: bool | None = None
