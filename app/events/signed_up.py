"""`signed_up`: a user signed up for the product."""

from typing import Annotated, Literal

from pydantic import Field

from app.events.envelope import Envelope, Properties

# One @ with something on both sides, no white space, no control characters: what a
# mailbox cannot be without, and no more, so that international addresses pass.
_EMAIL = r"^[^@\s\x00-\x1f\x7f-\x9f]+@[^@\s\x00-\x1f\x7f-\x9f]+$"
# RFC 5321 section 4.5.3.1.3, less the angle brackets of a path.
_MAX_EMAIL = 254

Email = Annotated[str, Field(pattern=_EMAIL, max_length=_MAX_EMAIL)]


class SignedUpProperties(Properties):
    """What is known of the user."""

    email: Email | None = Field(default=None, description="The email of the user.")
    user_email: Email | None = Field(
        default=None, description="Read where `email` is absent."
    )
    name: str | None = Field(default=None, description="The name of the user.")
    first_name: str | None = Field(
        default=None, description="The first name of the user."
    )
    last_name: str | None = Field(
        default=None, description="The last name of the user."
    )


class SignedUp(Envelope):
    """A user signed up for the product."""

    event: Literal["signed_up"]
    properties: SignedUpProperties
