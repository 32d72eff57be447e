"""Admission to the actions of the console: scope, session and form token."""

from collections.abc import Awaitable, Callable

from fastapi import Request

from app.access.readers import ReaderAuth
from app.pages.forms import Form, check_form_token, read_form, refuse_cross_site
from app.request_errors import ForbiddenError
from app.store.keys import scopes
from app.store.operator.rights import Action

# A payload of 128 KiB in which each byte is escaped, and as much again.
_MAX_FORM_BYTES = 1024 * 1024


class Operators:
    """Admits operators to the actions that they may take.

    Args:
        readers: authenticates them.
        has_rights: whether the database role of the service may take an action; once
            it may, it is not asked again.
    """

    def __init__(
        self, readers: ReaderAuth, *, has_rights: Callable[[Action], Awaitable[bool]]
    ) -> None:
        self.readers = readers
        self._has_rights = has_rights
        self._granted: set[Action] = set()

    async def may(self, request: Request, action: Action = "operate") -> bool:
        """Whether the reader's scope and the rights of the service allow an action."""
        scope = request.state.access.scope
        if action == "erase":
            is_allowed = scopes.may_erase(scope)
        else:
            is_allowed = scopes.may_operate(scope)
        if (
            is_allowed
            and action not in self._granted
            and await self._has_rights(action)
        ):
            self._granted.add(action)
        return is_allowed and action in self._granted

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
        await self.readers.require_page_reader(request)
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
