"""One person in many forms: hostile events, and the needles to look for afterwards."""

import html
import json
import re
from dataclasses import dataclass, field
from typing import Any
from unicodedata import normalize
from urllib.parse import quote, quote_plus

from app.pipeline.json_encode import encode_exactly
from app.pipeline.rejection import MAX_PAYLOAD


def escaped(text: str, *, uppercase: bool = False) -> str:
    """Each character as an escape of JSON, letters too."""
    pattern = "\\u{:04X}" if uppercase else "\\u{:04x}"
    return "".join(pattern.format(ord(character)) for character in text)


def percent_encoded(text: str) -> str:
    """Each byte percent-encoded, those of letters too."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


ID = 'Zoë "O\'Brien"/8814'
EMAIL = "Zoe.OBrien+x8814@Example.com"
EMAIL_2 = "zoë8814@exämple.org"
NUMBER = "88144711002933447"
# No form of the person is without one of these, in lower case. Four digits alone would
# also be found in times and hashes.
NEEDLES = (
    *("brien", "8814@", "8814%40", "8144711002", "exämple", "zo\\u00eb88"),
    *(escaped("Brien"), "%72%69%65", "%2572%2569", "%38%38%31%34", "%75%30%30%37%32"),
    "&#114;&#105;",
)
NFD = normalize("NFD", ID)


def signed_up(**fields: Any) -> dict[str, Any]:
    return {
        "event": "signed_up",
        "user_id": "somebody",
        "timestamp": "2024-05-06T07:08:09Z",
        "properties": {"email": "other@example.com"},
        **fields,
    }


def noted(note: Any, **fields: Any) -> dict[str, Any]:
    """Another person's event with a property."""
    properties = {"email": "other@example.com", "note": note}
    return signed_up(properties=properties, **fields)


def cut_within(text: str, *, kept: int) -> dict[str, Any]:
    """An event whose payload is cut after some characters of a text."""

    def event(padding: int) -> dict[str, Any]:
        return signed_up(context={"a": "x" * padding, "b": text}, extra_field="y" * 999)

    payload = encode_exactly(event(MAX_PAYLOAD))
    at = payload.index(json.dumps(text)[1:-1])
    return event(MAX_PAYLOAD - (at + kept - MAX_PAYLOAD))


def with_number(text: str) -> bytes:
    """The body of another person's event with a number as it is written."""
    event = noted("?", message_id=f"number {'e' in text}")
    return json.dumps(event).replace('"?"', text).encode()


@dataclass(frozen=True, slots=True)
class Sent:
    """An event of the collection.

    Attributes:
        event: the event, or the bytes of its body.
        headers: further headers of the request.
        statuses: possible statuses of its result.
    """

    event: Any
    headers: dict[str, str] = field(default_factory=dict)
    statuses: tuple[str, ...] = ("stored",)


def rejected(event: Any) -> Sent:
    return Sent(event, statuses=("rejected",))


OWN: dict[str, Sent] = {
    "user id": Sent(signed_up(user_id=ID, message_id="m1")),
    "user id in camel case": Sent(signed_up(userId=ID, user_id=None)),
    "user id decomposed": Sent(signed_up(user_id=NFD)),
    "email as user id": Sent(signed_up(user_id=EMAIL.upper())),
    "number as user id": Sent(signed_up(user_id=int(NUMBER))),
    "digits as user id": Sent(signed_up(user_id=NUMBER, message_id="m3")),
    "email in properties": Sent(signed_up(user_id=ID, properties={"email": EMAIL_2})),
    "message id": Sent(signed_up(user_id=ID, message_id=f"signed_up:{ID}")),
    "account": Sent(
        signed_up(
            event="account_added_user",
            user_id=ID,
            group_id=f"home of {ID}",
            properties={"role": "owner", "user_name": ID, "user_email": EMAIL},
        )
    ),
    "rejected": rejected(signed_up(user_id=ID, timestamp="yesterday")),
    "rejected own number": rejected(
        signed_up(userId=int(NUMBER), timestamp="yesterday")
    ),
    "rejected without user id": rejected(
        signed_up(user_id=None, properties={"email": EMAIL})
    ),
    "rejected name": rejected(signed_up(user_id=ID, event=f"invited {EMAIL}")),
    "rejected depth": rejected(
        signed_up(user_id=ID, context=json.loads("[" * 500 + "]" * 500))
    ),
    "conflict": Sent(
        signed_up(user_id=ID, message_id="m1", properties={"email": EMAIL}),
        statuses=("duplicate",),
    ),
}
MENTIONS: dict[str, Sent] = {
    "in message id": Sent(noted(1, message_id=f"invited:{ID}:by:a")),
    "in idempotency key": Sent(noted(2), {"Idempotency-Key": f"{EMAIL}:1"}),
    "in user id": Sent(noted(3, user_id=f"guest of {ID}")),
    "as account": Sent(noted(4, group_id=ID)),
    "in account": Sent(noted(5, group_id=f"team/{EMAIL.lower()}")),
    "value": Sent(noted(ID)),
    "key": Sent(noted({ID: 1})),
    "nested": Sent(noted([{"deep": [{EMAIL: {"er": [ID]}}]}])),
    "number": Sent(noted(int(NUMBER))),
    "exponent": Sent(with_number("8.8144711002933447e16")),
    "fraction": Sent(with_number(f"{NUMBER}.000")),
    "digits": Sent(noted(f"id={NUMBER};")),
    "upper case": Sent(noted(EMAIL.upper())),
    "upper case beyond ASCII": Sent(noted(EMAIL_2.upper())),
    "in angle brackets": Sent(noted(f"Zoë <{EMAIL}>")),
    "mailto": Sent(noted(f"mailto:{quote(EMAIL, safe='')}")),
    "percent": Sent(noted(f"https://x.example/u?id={quote(ID, safe='')}&y=1")),
    "plus": Sent(noted(f"?q={quote_plus(ID)}")),
    "percent twice": Sent(noted(f"/login?next={quote(quote(ID, safe=''), safe='')}")),
    "percent letters": Sent(noted(f"?e={percent_encoded(EMAIL)}&i=1")),
    "percent some letters": Sent(noted("mailto:%7aoe.OBrie%6E%2bx8814@Example.com")),
    "percent letters twice": Sent(noted(quote(percent_encoded(ID), safe=""))),
    "percent of Latin-1": Sent(noted("?q=Zo%EB%20%22O%27Brien%22%2F8814")),
    "percent of UTF-16": Sent(noted("Zo%u00EB%20%22O%27Brien%22/8814")),
    "JSON in URL": Sent(noted(f"?data={quote(json.dumps({'u': ID, 'e': EMAIL_2}))}")),
    "escapes in URL": Sent(noted(percent_encoded(escaped(EMAIL)))),
    "URL letters in JSON in text": Sent(noted(json.dumps(percent_encoded(EMAIL_2)))),
    "HTML": Sent(noted(f"<b>{html.escape(ID)}</b>")),
    "HTML letters": Sent(noted("".join(f"&#{ord(letter)};" for letter in EMAIL))),
    "percent before": Sent(noted(f"a%20{EMAIL}")),
    "JSON in text": Sent(noted(json.dumps({"u": ID, "e": EMAIL_2}))),
    "JSON in JSON in text": Sent(noted(json.dumps(json.dumps([ID, EMAIL_2])))),
    "raw JSON in text": Sent(noted(json.dumps([ID], ensure_ascii=False))),
    "line break escape before": Sent(noted(json.dumps(f"line\n{EMAIL}"))),
    "escapes only": Sent(noted(escaped(EMAIL))),
    "upper case escapes": Sent(noted(escaped(ID, uppercase=True))),
    "decomposed": Sent(noted(NFD)),
    "decomposed escapes": Sent(noted(json.dumps(NFD))),
    "context": Sent(signed_up(context={"traits": {"email": EMAIL}, ID: None})),
    "unknown field": Sent(signed_up(friend=ID)),
    "unknown field's name": Sent(signed_up(**{EMAIL: 1})),
    "timestamp": Sent(signed_up(timestamp=f"2024-05-06T07:08:09Z[x-{NUMBER}=1]")),
    "rejected value": rejected(noted(ID, timestamp="x")),
    "rejected key": rejected(noted({EMAIL: [ID]}, timestamp="x")),
    "rejected number": rejected(noted(int(NUMBER), timestamp="x")),
    "rejected event name": rejected(signed_up(event=f"seen {NUMBER}")),
    "rejected escapes": rejected(noted(escaped(EMAIL), timestamp="x")),
    "rejected JSON in text": rejected(noted(json.dumps([ID, EMAIL_2]), timestamp="x")),
    "rejected timestamp": rejected(signed_up(timestamp=f"seen by {EMAIL}")),
    "rejected text in an array": rejected([ID]),
    "rejected percent letters": rejected(noted(percent_encoded(EMAIL), timestamp="x")),
    "cut": rejected(signed_up(context={"a": ID, "b": "x" * MAX_PAYLOAD})),
    "cut within": rejected(cut_within(EMAIL, kept=17)),
    "cut within percent letters": rejected(cut_within(percent_encoded(ID), kept=38)),
    "cut within an escape": rejected(cut_within(EMAIL_2, kept=19)),
}
OTHERS: dict[str, Sent] = {
    "plain": Sent(noted("nothing", user_id="zoë")),
}


def find_needles(content: bytes) -> list[str]:
    """The needles in some bytes, with the text around each."""
    text = re.sub(rb"\\+", rb"\\", content).decode("utf-8", "replace").lower()
    return [
        text[max(0, at - 60) : at + 40]
        for needle in NEEDLES
        if (at := text.find(needle)) >= 0
    ]
