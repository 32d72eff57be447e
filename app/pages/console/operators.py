"""Admission to the actions of the console: scope, session and form token."""

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, TypeAlias

from fastapi import Request

from app.access.readers import ReaderAuth
from app.pages.forms import Form, check_form_token, read_form, refuse_cross_site
from app.request_errors import ForbiddenError

# Whether a request may act: the scope of its key, and the rights of the service.
OperatorCheck: TypeAlias = Callable[[Request], Awaitable[bool]]

# A payload of 128 KiB in which each byte is escaped, and as much again.
_MAX_FORM_BYTES = 1024 * 1024


class OperatorChecks(NamedTuple):
    """Whether a reader may act on events and keys, export or erase a person."""

    operate: OperatorCheck
    export: OperatorCheck
    erase: OperatorCheck


class Operators:
    """Admits operators to the actions that they may take."""

    def __init__(self, readers: ReaderAuth, may: OperatorChecks) -> None:
        self.readers = readers
        self.may = may

    async def read_action(
        self,
        request: Request,
        *,
        action: Literal["operate", "export", "erase"] = "operate",
    ) -> tuple[str, Form]:
        """The operator who sent a form, as the audit log names it, and the form.

        Raises:
            SignInRequiredError: nobody is signed in.
            ForbiddenError: the key or session may not do this.
            CrossSiteError: the form was forged.
        """
        refuse_cross_site(request)
        await self.readers.on_page(request)
        check: OperatorCheck = getattr(self.may, action)
        if not await check(request):
            scope = "erase" if action == "erase" else "operate"
            raise ForbiddenError(
                f"This needs a key with the scope `{scope}` "
                f"(`rollcall keys create --scope {scope}`), and a database role of the "
                "service that has the rights for it."
            )
        form = await read_form(request, max_bytes=_MAX_FORM_BYTES)
        check_form_token(request, form)
        return f"key:{request.state.access.key_id}", form
