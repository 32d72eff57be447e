"""Instances of the service on one database, and the settings in which they differ."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from typing_extensions import override

_REPORT = text("""
INSERT INTO instances AS known (name, version, settings, last_seen_at)
VALUES (:name, :version, CAST(:settings AS jsonb), now())
ON CONFLICT (name) DO UPDATE SET
    version = excluded.version,
    settings = excluded.settings,
    last_seen_at = excluded.last_seen_at
-- The other workers of an instance have usually done it.
WHERE known.last_seen_at < now() - interval '30 seconds'
    OR known.version <> excluded.version OR known.settings <> excluded.settings
""")
_FORGET = text("""
DELETE FROM instances WHERE name IN (
    SELECT name FROM instances WHERE last_seen_at < now() - interval '1 day'
    FOR UPDATE SKIP LOCKED
)
""")
# An instance that missed four reports has stopped or cannot reach the database.
_RUNNING = text("""
SELECT name, version, settings FROM instances
WHERE last_seen_at > now() - interval '5 minutes' ORDER BY name
""")


class Instance(NamedTuple):
    """A running instance.

    Attributes:
        name: host name and port.
        settings: the settings that all instances should share, by name.
    """

    name: str
    version: str
    settings: Mapping[str, Any]


class Difference(NamedTuple):
    """A setting whose value is not the same on all instances.

    Attributes:
        instances: names of the instances by the value that they have, as JSON.
    """

    setting: str
    instances: Mapping[str, list[str]]

    @override
    def __str__(self) -> str:
        """The values, the commonest first, and the instances that have them."""
        values = sorted(self.instances.items(), key=lambda item: -len(item[1]))
        described = (f"{value} on {', '.join(names)}" for value, names in values)
        return f"{self.setting} is {'; '.join(described)}"


async def record_instance(
    connection: AsyncConnection, instance: Instance
) -> list[Instance]:
    """Record that an instance runs; returns all that do."""
    settings = orjson.dumps(dict(instance.settings)).decode()
    await connection.execute(_REPORT, {**instance._asdict(), "settings": settings})
    await connection.execute(_FORGET)
    return await running_instances(connection)


async def running_instances(connection: AsyncConnection) -> list[Instance]:
    """The instances that have reported within the last five minutes, by name."""
    return [Instance(*row) for row in await connection.execute(_RUNNING)]


def differences(instances: Iterable[Instance]) -> list[Difference]:
    """The settings in which instances differ, by name.

    A setting that only some releases have is compared between those.
    """
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for instance in instances:
        for name, value in instance.settings.items():
            found[name][orjson.dumps(value).decode()].append(instance.name)
    return [
        Difference(name, dict(values))
        for name, values in sorted(found.items())
        if len(values) > 1
    ]
