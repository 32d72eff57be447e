"""`account_added_user`: a user was added to an account."""

from typing import Literal

from pydantic import Field

from app.events.envelope import Envelope, Identifier, Properties, ShortText


class AccountAddedUserProperties(Properties):
    """The user's place in the account."""

    user_role: ShortText | None = Field(
        default=None, description="The permission group of the user in this account."
    )
    role: ShortText | None = Field(
        default=None, description="Read where `user_role` is absent."
    )
    user_name: str | None = Field(default=None, description="The name of the user.")
    user_email: str | None = Field(default=None, description="The email of the user.")


class AccountAddedUser(Envelope):
    """A user was added to an account."""

    event: Literal["account_added_user"]
    group_id: Identifier = Field(
        description="The account that the user was added to. "
        "Read from `context.group_id` first."
    )
    properties: AccountAddedUserProperties
