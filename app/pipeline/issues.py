"""What is said about one event: an error that rejects it, or a warning."""

from typing import Any, NamedTuple

# Said in the answer only: the event is stored as sent, so there is no repair to keep.
UNSTORED_WARNINGS = frozenset({"missing_recommended"})


class Issue(NamedTuple):
    """One error or one warning.

    Attributes:
        code: stable and machine-readable; part of the wire contract.
        path: where, in the sender's own names: `userId`, `properties.email`,
            `context.tags[3]`.
        message: one sentence for a person; never holds a value that was sent.
    """

    code: str
    path: str
    message: str

    def as_json(self) -> dict[str, Any]:
        """The form in answers and in the jsonb columns."""
        return {"code": self.code, "path": self.path, "message": self.message}
