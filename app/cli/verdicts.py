"""The verdict on an event in a file."""

from app.cli.lines import Sent
from app.events.exported import as_sent
from app.events.judge import judge
from app.events.record import Policy, Receipt
from app.store.insert import Entry


def judge_sent(sent: Sent, *, receipt: Receipt, policy: Policy) -> Entry:
    """Judge an event as `/track` would; one that was exported, as it was sent.

    Args:
        sent: from a file.
        receipt: whose file it is, and when it is read.
        policy: what an event may be.
    """
    value = as_sent(
        sent.value, received_at=receipt.received_at, policy=policy.timestamps
    )
    return judge(value, receipt=receipt, policy=policy, body=sent.body)
