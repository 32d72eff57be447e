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

# Snippets are pasted into a shell, so only a plain address is inserted.
_ADDRESS = re.compile(r"https?://(?:[a-zA-Z0-9.-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\b(?:true|false|null)\b')
_PYTHON_NAMES = {"true": "True", "false": "False", "null": "None"}
_PYTHON_SDKS = {
    "segment-analytics-python": "segment.analytics.client",
    "rudder-sdk-python": "rudderstack.analytics.client",
    "customerio-cdp-analytics": "customerio.analytics.client",
}


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
        self._templates.globals["json"] = _json
        self._templates.globals["python"] = _python
        self._templates.globals["key"] = PLACEHOLDER_KEY

    def write(self, doc: EventDoc, *, address: str) -> list[Snippet]:
        """All snippets of an event; the address is the base URL of this service."""
        if not _ADDRESS.fullmatch(address):
            address = PLACEHOLDER_ADDRESS
        event = _exemplary(doc)

        def write(template: str, **more: str) -> str:
            made = self._templates.get_template(f"{template}.txt")
            return made.render(event=event, address=address, **more)

        client = f'({{ writeKey: "{PLACEHOLDER_KEY}", host: "{address}" }})'
        older = f'("{PLACEHOLDER_KEY}", {{ host: "{address}" }})'
        rudder = f'("{PLACEHOLDER_KEY}", {{ dataPlaneUrl: "{address}" }})'
        node_sdks = (
            ("@segment/analytics-node", "{ Analytics }", client, "closeAndFlush"),
            (
                "@customerio/cdp-analytics-node",
                "{ Analytics }",
                client,
                "closeAndFlush",
            ),
            ("@rudderstack/rudder-sdk-node", "RudderAnalytics", rudder, "flush"),
            ("analytics-node", "Analytics", older, "flush"),
        )
        return [
            Snippet("curl", "shell", None, write("curl")),
            Snippet("Python, nothing installed", "python", None, write("python")),
            Snippet("Python with httpx", "python", "pip install httpx", write("httpx")),
            Snippet("Node, nothing installed", "node", None, write("node")),
            *(
                Snippet(
                    package,
                    "python",
                    f"pip install {package}",
                    write("python_sdk", module=module),
                )
                for package, module in _PYTHON_SDKS.items()
            ),
            *(
                Snippet(
                    package,
                    "node",
                    f"npm install {package}",
                    write(
                        "node_sdk",
                        package=package,
                        name=name,
                        made=name.strip("{ }") + arguments,
                        end=end,
                    ),
                )
                for package, name, arguments, end in node_sdks
            ),
            Snippet("@jitsu/js", "node", "npm install @jitsu/js", write("jitsu")),
        ]


def _exemplary(doc: EventDoc) -> dict[str, Any]:
    """The sample with a complete timestamp and a message id."""
    sample = doc.sample
    if "message_id" in sample:  # the sample of a declared event is complete
        return sample
    instant, _ = read_text(sample["timestamp"], two_digit_year="ymd")
    complete = {**sample, "timestamp": format_timestamp(instant)}
    fields = {**sample.get("context", {}), **complete}
    return {**complete, "message_id": (doc.message_id or "{event}").format(**fields)}


def _json(value: Any, spaces: int = 2) -> str:
    return json.dumps(value, indent=spaces, ensure_ascii=False)


def _python(value: Any, spaces: int = 4) -> str:
    """A JSON value as a Python literal, which differs in three words alone."""
    return _TOKEN.sub(
        lambda found: _PYTHON_NAMES.get(found[0], found[0]), _json(value, spaces)
    )
