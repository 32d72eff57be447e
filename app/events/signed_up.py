"""`signed_up`: a user signed up for the product."""

from typing import Annotated, Any, Literal

from pydantic import Field

from app.events.envelope import Envelope, Properties
from app.events.event_type import EventType

# The documented sample, to the letter; its year has two digits.
SAMPLE: dict[str, Any] = {
    "event": "signed_up",
    "properties": {
        "email": "john.doe@example.com",
        "name": "John Doe",
        "first_name": "John",
        "last_name": "Doe",
    },
    "user_id": "766b3aef-5904-46fe-af05-a293fee8h345",
    "timestamp": "20-11-23T22:28:55.111Z",
}

# One @ with something on both sides, no white space, no control characters: what a
# mailbox cannot be without, and no more, so that international addresses pass.
# Spelt out because `\s` is not the same in Rust as in the dialect of JSON Schema.
_NO_SPACE = r"[^@\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"
_EMAIL = f"^{_NO_SPACE}@{_NO_SPACE}$"
# RFC 5321 section 4.5.3.1.3, less the angle brackets of a path.
_MAX_EMAIL = 254

Email = Annotated[str, Field(pattern=_EMAIL, max_length=_MAX_EMAIL)]


class SignedUpProperties(Properties):
    """What is known of the user."""

    email: Email | None = Field(
        default=None,
        description="The email of the user: one `@` with something on both sides, and "
        "no white space.",
    )
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
    """A user signed up for the product.

    Send it once for each user, when the sign-up is complete. It says who came, and
    when; where the account is known by then, its group id says with whom.
    """

    event: Literal["signed_up"]
    properties: SignedUpProperties


EVENT_TYPE = EventType(
    name="signed_up",
    model=SignedUp,
    sample=SAMPLE,
    require_one_of=(("email", "user_email"),),
    recommended=("name",),
)
