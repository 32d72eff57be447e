"""Admission to the actions of the console: scope, session and form token."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from fastapi import Request

from app.access.readers import ReaderAuth
from app.pages.forms import Form, check_form_token, read_form, refuse_cross_site
from app.request_errors import ForbiddenError

# Whether the key or session of a request has the scope `operate`.
OperatorCheck: TypeAlias = Callable[[Request], Awaitable[bool]]

# A payload of 128 KiB in which each byte is escaped, and as much again.
_MAX_FORM_BYTES = 1024 * 1024


class Operators:
    """Admits operators to actions.

    Args:
        readers: finds the reader of a request.
        may_operate: whether that reader is an operator.
    """

    def __init__(self, readers: ReaderAuth, may_operate: OperatorCheck) -> None:
        self._readers = readers
        self.may_operate = may_operate

    async def read_action(self, request: Request) -> tuple[str, Form]:
        """The operator who sent a form, as the audit log names it, and the form.

        Raises:
            SignInRequiredError: nobody is signed in.
            ForbiddenError: the key or session may not operate.
            CrossSiteError: the form was forged.
        """
        refuse_cross_site(request)
        await self._readers.on_page(request)
        if not await self.may_operate(request):
            raise ForbiddenError(
                "This needs a key with the scope `operate` "
                "(`rollcall keys create --scope operate`)."
            )
        form = await read_form(request, max_bytes=_MAX_FORM_BYTES)
        check_form_token(request, form)
        return f"key:{request.state.access.key_id}", form
