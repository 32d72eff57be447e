"""Declared events as tests use them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.events.catalog import Catalog
from app.events.declaration import Declaration
from app.pipeline.record import Policy
from tests.support.pipeline.verdicts import CATALOG, POLICY

TRIAL = """\
name = "trial_started"
description = "An account began a trial."
account_required = true
sample = '''
{
  "event": "trial_started", "user_id": "u1", "timestamp": "2026-03-02T09:30:08.276Z",
  "properties": {"plan": "team", "seats": 5}, "context": {"group_id": "a1"},
  "message_id": "trial_started:a1"
}
'''

[properties.plan]
type = "text"
description = "The plan."
required = true
names = ["plan_name"]

[properties.seats]
type = "integer"
description = "Number of seats."
minimum = 1
"""


SAMPLE = json.dumps(
    {
        "event": "trial_started",
        "user_id": "u1",
        "timestamp": "2026-03-02T09:30:08.276Z",
        "message_id": "m1",
        "properties": {},
    }
)


def declaration_of(**properties: dict[str, Any]) -> Declaration:
    """`trial_started` with these properties."""
    described = {name: {"description": "A."} | p for name, p in properties.items()}
    return Declaration.model_validate(
        {
            "name": "trial_started",
            "description": "A trial started.",
            "sample": SAMPLE,
            "properties": described,
        }
    )


def policy_with(*declarations: Declaration) -> Policy:
    """The policy of tests, with declared events in the catalog."""
    return replace(POLICY, catalog=Catalog(CATALOG.values(), declarations))


def trial_with(properties: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A `trial_started` with these properties."""
    return {
        "event": "trial_started",
        "user_id": "u1",
        "timestamp": "2026-03-02T09:30:08.276Z",
        "properties": properties,
        **changes,
    }


def write_trial(directory: Path, text: str = TRIAL) -> Path:
    """A directory with the declaration of `trial_started`."""
    directory.mkdir(exist_ok=True)
    path = directory / "trial_started.toml"
    path.write_text(text, encoding="utf-8")
    return path
