"""`/person/...`: export and erasure of one person, as forms of the page Find."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import IO

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from app.pages.console.operators import Operators
from app.pages.forms import Form, value_of
from app.pages.render import Pages
from app.pipeline.persons.person import Person
from app.request_errors import InvalidParameterError
from app.store.lifecycle.erasure import Erasure, count_by_table
from app.store.lifecycle.person_actions import PersonActions

_MAX_ID = 255
_MAX_EMAILS = 20
_PIECE_BYTES = 64 * 1024
_AS_FILE = {"Content-Disposition": 'attachment; filename="person.ndjson"'}


def person_routes(
    pages: Pages, *, operators: Operators, actions: PersonActions
) -> APIRouter:
    """POST routes `/person/export` and `/person/erase`."""
    routes = APIRouter(include_in_schema=False)

    @routes.post("/person/export")
    async def export(request: Request) -> Response:
        actor, form = await operators.read_action(request, action="export")
        user, emails = _person_of(form)
        file = await actions.export(Person(user, emails), actor=actor)
        return StreamingResponse(
            _pieces(file), media_type="application/x-ndjson", headers=_AS_FILE
        )

    @routes.post("/person/erase")
    async def erase(request: Request) -> Response:
        actor, form = await operators.read_action(request, action="erase")
        user, emails = _person_of(form)
        person = Person(user, emails)
        redact = value_of(form, "mentions") == "redact"
        show = partial(pages.render, request=request, user=user, emails=emails)
        if value_of(form, "confirmed") != "yes":
            found, buffered = await actions.find(person)
            return await show(
                "console/person_erase.html",
                found=found,
                own=count_by_table(found.own),
                mentions=count_by_table(found.mentions),
                buffered=buffered,
                further=further_emails(found, emails),
            )
        done = await actions.erase(person, redact=redact, actor=actor)
        return await show(
            "console/person_erased.html",
            done=done,
            own=count_by_table(done.own),
            mentions=count_by_table(done.mentions),
            redacted=redact,
        )

    return routes


def further_emails(found: Erasure, emails: Iterable[str]) -> list[str]:
    """Addresses in the person's sign-ups that were not searched for."""
    known = {email.casefold() for email in emails}
    further: dict[str, str] = {}
    for trace in found.own:
        properties = trace.columns.get("properties")
        if trace.columns.get("event") != "signed_up" or not isinstance(
            properties, dict
        ):
            continue
        email = properties.get("email") or properties.get("user_email")
        if isinstance(email, str) and email.casefold() not in known:
            further.setdefault(email.casefold(), email)
    return list(further.values())[:_MAX_EMAILS]


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _person_of(form: Form) -> tuple[str, list[str]]:
    """User id and email addresses of a form."""
    user = value_of(form, "user")
    emails = list(dict.fromkeys(" ".join(form.get("email", [])).split()))
    if not user or len(user) > _MAX_ID or "\0" in user:
        raise InvalidParameterError("A user id has 1 to 255 characters.")
    if len(emails) > _MAX_EMAILS or any(
        "@" not in email or len(email) > _MAX_ID or "\0" in email for email in emails
    ):
        raise InvalidParameterError(
            f"Write at most {_MAX_EMAILS} email addresses, with spaces between them."
        )
    return user, emails
