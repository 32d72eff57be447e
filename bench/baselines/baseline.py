"""What a competent engineer would write in an afternoon, to compare with.

FastAPI, a Pydantic model, SQLAlchemy's async ORM: one session and one commit a
request, a unique constraint against duplicates. Nothing in it is slowed on purpose.
"""

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import DateTime, Index, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from bench.database import SOURCE

_POOL_SIZE = 20
_Instant = DateTime(timezone=True)


class Base(DeclarativeBase):
    """What the ORM knows."""


class Event(Base):
    """The columns of Rollcall's events, in one table with its own constraint."""

    __tablename__ = "baseline_events"
    __table_args__ = (
        UniqueConstraint("source", "message_id"),
        Index(None, "user_id", "timestamp"),
        Index(None, "group_id", "timestamp"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    source: Mapped[str]
    event: Mapped[str]
    user_id: Mapped[str]
    group_id: Mapped[str | None]
    timestamp: Mapped[datetime] = mapped_column(_Instant)
    received_at: Mapped[datetime] = mapped_column(_Instant)
    stored_at: Mapped[datetime] = mapped_column(_Instant, server_default=func.now())
    message_id: Mapped[str]
    properties: Mapped[dict[str, Any]] = mapped_column(JSONB)
    context: Mapped[dict[str, Any]] = mapped_column(JSONB)


class Context(BaseModel):
    """Where it happened."""

    group_id: str | None = Field(default=None, max_length=255)


class EventIn(BaseModel):
    """What is sent."""

    event: Literal["signed_up", "account_added_user"]
    user_id: str = Field(min_length=1, max_length=255)
    message_id: str = Field(min_length=1, max_length=255)
    timestamp: AwareDatetime
    properties: dict[str, Any]
    context: Context = Context()


class Stored(BaseModel):
    """What is answered."""

    success: bool = True
    status: Literal["stored", "duplicate"]
    message_id: str


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """One session a request."""
    async with request.app.state.sessions() as session:
        yield session


def check_key(request: Request, authorization: Annotated[str, Header()] = "") -> None:
    """One key, compared in constant time."""
    wanted = f"Bearer {request.app.state.key}".encode()
    if not hmac.compare_digest(authorization.encode(), wanted):
        raise HTTPException(401, "unknown key")


router = APIRouter()


@router.post("/track", dependencies=[Depends(check_key)])
async def track(
    sent: EventIn, session: Annotated[AsyncSession, Depends(get_session)]
) -> Stored:
    """Store one event, once."""
    session.add(
        Event(
            source=SOURCE,
            event=sent.event,
            user_id=sent.user_id,
            group_id=sent.context.group_id,
            timestamp=sent.timestamp,
            received_at=datetime.now(UTC),
            message_id=sent.message_id,
            properties=sent.properties,
            context=sent.context.model_dump(),
        )
    )
    try:
        await session.commit()
    except IntegrityError:
        return Stored(status="duplicate", message_id=sent.message_id)
    return Stored(status="stored", message_id=sent.message_id)


def create_app(url: str, key: str) -> FastAPI:
    """Build it.

    Args:
        url: of the database, as SQLAlchemy takes it; the table is made in it.
        key: the only one that may write.
    """
    engine = create_async_engine(url, pool_size=_POOL_SIZE)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
    app.state.key = key
    app.include_router(router)
    return app
