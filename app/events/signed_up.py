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

# White space, control characters (Cc) and invisible ones (Cf). Listed because `\s` and
# categories differ between Rust and the dialect of JSON Schema, which has no escape for
# characters above U+FFFF either.
_NOT_IN_EMAIL = (
    r"\x00-\x20\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680"
    r"\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\ufeff\ufff9-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"
)
# One @ with something on both sides: the least that an address needs, so that
# international addresses pass.
_PART = f"[^@{_NOT_IN_EMAIL}]+"
_EMAIL = f"^{_PART}@{_PART}$"
# RFC 5321 section 4.5.3.1.3, without the angle brackets of a path.
_MAX_EMAIL = 254

Email = Annotated[str, Field(pattern=_EMAIL, max_length=_MAX_EMAIL)]


class SignedUpProperties(Properties):
    """Data about the user."""

    email: Email | None = Field(
        default=None,
        description="The email of the user: one `@` with something on both sides, no "
        "white space and no invisible characters.",
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
    message_id="{event}:{user_id}",
)
