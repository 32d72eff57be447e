"""Time limits of the service in tests.

A busy machine can stall a process for seconds. Tests that are not about time therefore
run with `GENEROUS` limits. Tests of an outage wait for the default limits to expire;
`OUTAGE` leaves time for an answer after that of a commit, which is only half a second.
"""

from app.settings import Settings

GENEROUS = {
    "commit_timeout_seconds": "20",
    "answer_timeout_seconds": "30",
    "header_timeout_seconds": "60",
    "body_timeout_seconds": "60",
    "write_timeout_seconds": "60",
    "drain_timeout_seconds": "60",
}
DEFAULT = {name: str(Settings.model_fields[name].default) for name in GENEROUS}
OUTAGE = DEFAULT | {"answer_timeout_seconds": GENEROUS["answer_timeout_seconds"]}
# For statements, connections, commands and answers that are expected to succeed.
PATIENCE_S = 60.0
