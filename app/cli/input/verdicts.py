"""The verdict on what stands in a file."""

from app.cli.input.items import InputItem, Text, UnreadableItem, read_event
from app.pipeline.exported import restore_sent_form
from app.pipeline.process import process_event
from app.pipeline.record import Policy, RequestContext
from app.store.write.insert import Entry


def process_item(
    piece: InputItem, *, request_context: RequestContext, policy: Policy
) -> Entry | UnreadableItem:
    """Judge an event as `/track` would; one that was exported, as it was sent.

    Args:
        piece: of a file.
        request_context: whose file it is, and when it is read.
        policy: what an event may be.
    """
    if isinstance(piece, Text):
        piece = read_event(piece, policy=policy)
    if isinstance(piece, UnreadableItem):
        return piece
    value = restore_sent_form(
        piece.value, received_at=request_context.received_at, policy=policy.timestamps
    )
    return process_event(
        value, request_context=request_context, policy=policy, body=piece.body
    )
