"""`rollcall distribute`."""

import asyncio
from typing import Annotated

import typer

from app.cli.configuration import read_settings
from app.cli.database import echo_err, open_checked, record_command
from app.store.operator_session import operator_errors
from app.store.shards.distribute import check_can_distribute
from app.store.shards.distribute import distribute as distribute_tables

_FOR_EVER = """\
This cannot be undone, and holds for ever:
- The number of buckets ({buckets}). With another one, known ids would go to other \
shards and be stored again. Choose the most worker nodes you will ever need, 8 to 16.
- An id is unique within its bucket, which follows from the user id as it is stored. \
A later release that repairs user ids differently would store a retry of an event \
without a message id a second time.
- No snapshot over shards: a dump or an export does not show one moment. \
Back up with citus_create_restore_point and the WAL archive of each node.
- Weeks are detached with a plain DETACH PARTITION, which locks the table a moment; \
CONCURRENTLY does not work.
- stored_at is the clock of the node that holds the bucket: keep all clocks within a \
second. All instances connect to one coordinator.
- A body with events of several users is several transactions; the answer tells the \
outcome of each event.\
"""


def distribute(
    *,
    buckets: Annotated[
        int, typer.Option(min=2, max=256, help="Number of buckets, for ever.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Distribute the events over the nodes of a Citus cluster, before the first event.

    All of it is one transaction, so it can be repeated after an interruption. Running
    instances buffer events meanwhile, and then store them in the buckets.
    """
    with open_checked(read_settings()) as database:
        nodes = database.transact(check_can_distribute)
        echo_err(_FOR_EVER.format(buckets=buckets))
        if not yes:
            typer.confirm(
                f"Distribute the events over {nodes} nodes?", abort=True, err=True
            )
        with operator_errors(database.url):
            asyncio.run(distribute_tables(database.url, count=buckets))
        record_command(database, "distribute", buckets=buckets, nodes=nodes)
    echo_err(
        f"The events are distributed into {buckets} buckets on {nodes} nodes."
        " Now run migrations/roles.sql again."
    )
