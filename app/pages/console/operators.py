"""Admission to the actions of the console: scope, session and form token."""

from typing import Literal, TypeAlias

from fastapi import Request

from app.access.readers import ReaderAuth
from app.pages.forms import Form, check_form_token, read_form, refuse_cross_site
from app.request_errors import ForbiddenError
from app.store.keys import scopes
from app.store.lifecycle.person_actions import PersonActions
from app.store.quarantine.actions import QuarantineActions

Action: TypeAlias = Literal["operate", "export", "erase"]

# A payload of 128 KiB in which each byte is escaped, and as much again.
_MAX_FORM_BYTES = 1024 * 1024


class Operators:
    """Admits operators to the actions that they may take.

    Args:
        readers: authenticates them.
        events: knows whether the service may act on events and keys.
        persons: knows whether it may export and erase a person.
    """

    def __init__(
        self, readers: ReaderAuth, *, events: QuarantineActions, persons: PersonActions
    ) -> None:
        self.readers = readers
        self._events = events
        self._persons = persons

    async def may(self, request: Request, action: Action = "operate") -> bool:
        """Whether the reader's scope and the rights of the service allow an action."""
        scope = request.state.access.scope
        if action == "erase":
            return scopes.may_erase(scope) and (await self._persons.rights()).erase
        if not scopes.may_operate(scope):
            return False
        if action == "export":
            return (await self._persons.rights()).export
        return await self._events.has_rights()

    async def read_action(
        self, request: Request, *, action: Action = "operate"
    ) -> tuple[str, Form]:
        """The operator who sent a form, as the audit log names it, and the form.

        Raises:
            SignInRequiredError: nobody is signed in.
            ForbiddenError: the key or session may not do this.
            CrossSiteError: the form was forged.
        """
        refuse_cross_site(request)
        await self.readers.on_page(request)
        if not await self.may(request, action):
            scope = "erase" if action == "erase" else "operate"
            raise ForbiddenError(
                f"This needs a key with the scope `{scope}` "
                f"(`rollcall keys create --scope {scope}`), and a database role of the "
                "service that has the rights for it."
            )
        form = await read_form(request, max_bytes=_MAX_FORM_BYTES)
        check_form_token(request, form)
        return f"key:{request.state.access.key_id}", form
