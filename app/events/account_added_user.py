"""`account_added_user`: a user was added to an account."""

from typing import Any, Literal

from pydantic import Field

from app.events.envelope import Envelope, Identifier, Properties, ShortText
from app.events.event_type import EventType

# The documented sample, to the letter.
SAMPLE: dict[str, Any] = {
    "user_id": "766b3aef-5904-46fe-af05-a293fee8h345",
    "event": "account_added_user",
    "properties": {
        "user_name": "Mark Wood",
        "user_email": "mark.wood@example.com",
        "user_role": "Developer",
    },
    "context": {"group_id": "47464e5b-4727-11ee-aeb6-fefbf8354ds3"},
    "timestamp": "2023-11-02T00:30:08.276Z",
}


class AccountAddedUserProperties(Properties):
    """The user's place in the account."""

    user_role: ShortText | None = Field(
        default=None, description="The permission group of the user in this account."
    )
    role: ShortText | None = Field(
        default=None, description="Read where `user_role` is absent."
    )
    user_name: str | None = Field(default=None, description="The name of the user.")
    user_email: str | None = Field(
        default=None, description="The email of the user; any text."
    )


class AccountAddedUser(Envelope):
    """A user was added to an account.

    Send it each time that a user joins an account, invited or as the one who opened
    it, with the role that the user has there. A second event with another role is
    stored in addition to the first: nothing is overwritten, and the latest one counts.
    """

    event: Literal["account_added_user"]
    group_id: Identifier = Field(
        description="The account that the user was added to. "
        "One in the context is read first."
    )
    properties: AccountAddedUserProperties


EVENT_TYPE = EventType(
    name="account_added_user",
    model=AccountAddedUser,
    sample=SAMPLE,
    require_one_of=(("user_role", "role"),),
    recommended=("user_name", "user_email"),
    # A user can leave the account and join it again.
    message_id="{event}:{group_id}:{user_id}:{timestamp}",
)
