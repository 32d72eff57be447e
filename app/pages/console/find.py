"""`/find`: timelines of a person or an account, and single events, by one term."""

import shlex
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Annotated, TypeAlias
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.pages.console.operators import Operators
from app.pages.render import Pages
from app.store.read.events import EventRow
from app.store.read.find import Section, find
from app.store.read.limiter import QueryLimiter

# Postgres stores no NUL.
_Term: TypeAlias = Annotated[str, Query(max_length=600, pattern="^[^\\x00]*$")]


def find_routes(
    pages: Pages, *, operators: Operators, queries: QueryLimiter
) -> APIRouter:
    """`/find`, with the forms that the reader may use."""
    may_read = Depends(operators.readers.require_page_reader)
    routes = APIRouter(include_in_schema=False, dependencies=[may_read])

    @routes.get("/find")
    async def show(request: Request, q: _Term = "") -> Response:
        term = q.strip()
        sections = await queries.ask(partial(find, term=term)) if term else []
        timeline = timeline_of(sections)
        user = person_in(timeline, term=term)
        return await pages.render(
            "console/find.html",
            request=request,
            term=term,
            sections=sections,
            timeline=timeline,
            user=user,
            can_export=user is not None and await operators.may(request, "export"),
            can_erase=user is not None and await operators.may(request, "erase"),
            quote=shlex.quote,
        )

    return routes


def person_in(timeline: Sequence[EventRow], *, term: str) -> str | None:
    """The user id of the one person that was found; None without or with several.

    Where only mentions or rejected events have an email address, it is the id.
    """
    about = [entry for entry in timeline if entry.kind != "mentioned"]
    users = {entry.user_id for entry in about if entry.user_id is not None}
    if timeline and not users and "@" in term:
        users = {term}
    return users.pop() if len(users) == 1 else None


def timeline_of(sections: Iterable[Section]) -> list[EventRow]:
    """The entries of all queries, each event once, newest first."""
    found: dict[UUID, EventRow] = {}
    for section in sections:
        for entry in section.entries:
            found.setdefault(entry.id, entry)
    return sorted(found.values(), key=lambda entry: entry.at, reverse=True)
