"""The verdict on what stands in a file."""

from app.cli.lines import Piece, Text, Unreadable, read_event
from app.events.exported import as_sent
from app.events.judge import judge
from app.events.record import Policy, Receipt
from app.store.insert import Entry


def judge_piece(
    piece: Piece, *, receipt: Receipt, policy: Policy
) -> Entry | Unreadable:
    """Judge an event as `/track` would; one that was exported, as it was sent.

    Args:
        piece: of a file.
        receipt: whose file it is, and when it is read.
        policy: what an event may be.
    """
    if isinstance(piece, Text):
        piece = read_event(piece, policy=policy)
    if isinstance(piece, Unreadable):
        return piece
    value = as_sent(
        piece.value, received_at=receipt.received_at, policy=policy.timestamps
    )
    return judge(value, receipt=receipt, policy=policy, body=piece.body)
