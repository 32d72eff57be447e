"""Code samples: an event sent with the languages and SDKs that the tests use."""

import json
import re
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from app.pages.event_docs import EventDoc
from app.pipeline.timestamp import format_timestamp, read_text

PLACEHOLDER_KEY = "YOUR_WRITE_KEY"
# A script of the page replaces it by the address that the browser uses.
PLACEHOLDER_ADDRESS = "http://127.0.0.1:8000"

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\b(?:true|false|null)\b')
_PYTHON_NAMES = {"true": "True", "false": "False", "null": "None"}
_PYTHON_SDKS = {
    "segment-analytics-python": "segment.analytics.client",
    "rudder-sdk-python": "rudderstack.analytics.client",
    "customerio-cdp-analytics": "customerio.analytics.client",
}
_SEGMENT = (
    f'Analytics({{ writeKey: "{PLACEHOLDER_KEY}", host: "{PLACEHOLDER_ADDRESS}" }})'
)
# Package, imported name, client, and the call that sends the events in its queue.
_NODE_SDKS = (
    ("@segment/analytics-node", "{ Analytics }", _SEGMENT, "closeAndFlush"),
    ("@customerio/cdp-analytics-node", "{ Analytics }", _SEGMENT, "closeAndFlush"),
    (
        "@rudderstack/rudder-sdk-node",
        "RudderAnalytics",
        (
            f'RudderAnalytics("{PLACEHOLDER_KEY}", '
            f'{{ dataPlaneUrl: "{PLACEHOLDER_ADDRESS}" }})'
        ),
        "flush",
    ),
    (
        "analytics-node",
        "Analytics",
        f'Analytics("{PLACEHOLDER_KEY}", {{ host: "{PLACEHOLDER_ADDRESS}" }})',
        "flush",
    ),
)

# Where the event does not say how senders should build it.
_MESSAGE_ID = "{event}:{user_id}:{timestamp}"


class Snippet(NamedTuple):
    """One piece of code, to run as it is but for the key.

    Attributes:
        label: the language, or the SDK's package.
        language: `shell`, `python` or `node`.
        install: the command that installs its dependencies, or None.
    """

    label: str
    language: str
    install: str | None
    code: str


class Snippets:
    """Writes code for any event."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=PackageLoader("app.pages", "templates/snippets"),
            autoescape=False,  # noqa: S701 - it makes text; pages escape what they show
            undefined=StrictUndefined,
            trim_blocks=True,
        )
        self._templates.globals |= {
            "json": _json,
            "python": _python,
            "key": PLACEHOLDER_KEY,
            "address": PLACEHOLDER_ADDRESS,
        }

    def write(self, doc: EventDoc) -> list[Snippet]:
        """All snippets of an event."""
        event = _exemplary(doc)

        def write(template: str, **more: str) -> str:
            return self._templates.get_template(template).render(event=event, **more)

        snippets = [
            Snippet("curl", "shell", None, write("curl.txt")),
            Snippet("Python, nothing installed", "python", None, write("python.txt")),
            Snippet(
                "Python with httpx", "python", "pip install httpx", write("httpx.txt")
            ),
            Snippet("Node, nothing installed", "node", None, write("node.txt")),
        ]
        for package, module in _PYTHON_SDKS.items():
            code = write("python_sdk.txt", module=module)
            snippets.append(Snippet(package, "python", f"pip install {package}", code))
        for package, name, made, end in _NODE_SDKS:
            code = write("node_sdk.txt", package=package, name=name, made=made, end=end)
            snippets.append(Snippet(package, "node", f"npm install {package}", code))
        jitsu = write("jitsu.txt")
        return [*snippets, Snippet("@jitsu/js", "node", "npm install @jitsu/js", jitsu)]


def _exemplary(doc: EventDoc) -> dict[str, Any]:
    """The sample with a complete timestamp and a message id."""
    sample = doc.sample
    if "message_id" in sample:  # the sample of a declared event is complete
        return sample
    instant, _ = read_text(sample["timestamp"], two_digit_year="ymd")
    complete = {**sample, "timestamp": format_timestamp(instant)}
    fields = {**sample.get("context", {}), **complete}
    return {**complete, "message_id": (doc.message_id or _MESSAGE_ID).format(**fields)}


def _json(value: Any, spaces: int = 2) -> str:
    return json.dumps(value, indent=spaces, ensure_ascii=False)


def _python(value: Any, spaces: int = 4) -> str:
    """A JSON value as a Python literal, which differs in three words alone."""
    return _TOKEN.sub(
        lambda found: _PYTHON_NAMES.get(found[0], found[0]), _json(value, spaces)
    )
