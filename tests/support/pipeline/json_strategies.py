"""Strategies for JSON, with all that senders get wrong in it, and for events.

Cached, since an event draws from many of them and each takes its time to be made.
"""

import json
import random
from functools import cache
from typing import Any

from hypothesis import strategies as st

from app.pipeline.fields.placeholders import is_placeholder
from tests.support.pipeline.verdicts import ADDED_USER, SIGNED_UP

_ODD_NUMBERS = [
    float("nan"),
    float("inf"),
    -float("inf"),
    2**63,
    2**64,
    -(2**63) - 1,
    10**999,
    10**1000,
]
_ODD_TEXTS = ["\0", "a\0b", "\ud800", "\udfff\ud800", "x\udc00", "\ufffd", "\ufeff"]
_TIMESTAMPS = [
    "2023-11-02T00:30:08.276Z",
    "20-11-23T22:28:55.111Z",
    "2023-11-02",
    1_698_885_008_276,
    1_698_885_008.5,
]


@cache
def plain_texts(**limits: Any) -> st.SearchStrategy[str]:
    """Text that Postgres can hold."""
    return st.text(st.characters(codec="utf-8", exclude_characters="\0"), **limits)


@cache
def plain_values() -> st.SearchStrategy[Any]:
    """JSON values that both parsers and both encoders know."""
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        plain_texts(),
    )
    return _nested(leaves, plain_texts())


@cache
def odd_values() -> st.SearchStrategy[Any]:
    """JSON values, and the invalid values of senders."""
    texts = st.one_of(plain_texts(), st.sampled_from(_ODD_TEXTS), st.text())
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.sampled_from(_ODD_NUMBERS),
        texts,
    )
    return _nested(leaves, texts)


@cache
def number_texts() -> st.SearchStrategy[str]:
    """Numbers as RFC 8259 section 6 writes them, whether or not they fit."""
    return st.from_regex(
        r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?",
        fullmatch=True,
    )


@cache
def json_texts() -> st.SearchStrategy[str]:
    """JSON in many spellings: white space, escapes, repeated keys, big numbers."""
    space = st.sampled_from(["", " ", "\n\t", "\r"])
    texts = st.one_of(
        st.one_of(plain_texts(), st.sampled_from(_ODD_TEXTS)).map(json.dumps),
        plain_texts().map(lambda text: json.dumps(text, ensure_ascii=False)),
    )
    leaves = st.one_of(
        st.sampled_from(["null", "true", "false"]), number_texts(), texts
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(
                lambda pad, items: "[" + f"{pad},{pad}".join(items) + pad + "]",
                space,
                st.lists(inner, max_size=4),
            ),
            st.builds(
                lambda pad, items: (
                    "{" + ",".join(f"{pad}{k}{pad}:{pad}{v}" for k, v in items) + "}"
                ),
                space,
                st.lists(st.tuples(texts, inner), max_size=4),
            ),
        ),
        max_leaves=12,
    )


@st.composite
def canonical_events(draw: st.DrawFn) -> dict[str, Any]:
    """A valid event of either kind under canonical names, nothing odd in it."""
    ids = _ids()
    event: dict[str, Any] = dict(draw(st.sampled_from([SIGNED_UP, ADDED_USER])))
    added = draw(st.dictionaries(plain_texts(), plain_values(), max_size=3))
    event["properties"] = added | event["properties"]
    if draw(st.booleans()):
        event["event"] = event["event"].replace("_", " ").title()
    event["user_id"] = draw(ids)
    event["timestamp"] = draw(st.sampled_from(_TIMESTAMPS))
    context = draw(st.dictionaries(plain_texts(), plain_values(), max_size=3))
    event["context"] = without_groups(context)
    if "account" in event["event"].lower() or draw(st.booleans()):
        event["group_id"] = draw(ids)
    if draw(st.booleans()):
        event["message_id"] = draw(plain_texts(min_size=1, max_size=255))
    return event


@cache
def _ids() -> st.SearchStrategy[str | int]:
    texts = plain_texts(min_size=1, max_size=255)
    return st.one_of(
        texts.filter(lambda text: not is_placeholder(text)), st.integers(0, 2**64 - 1)
    )


def without_groups(context: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in context.items() if k not in {"group_id", "groupId"}}


@st.composite
def spellings(draw: st.DrawFn, event: dict[str, Any]) -> dict[str, Any]:
    """The same event under other names, in another order, with unknown keys in it."""
    spelt: dict[str, Any] = {"sentAt": draw(plain_values()), "type": "track"}
    for name, other in (
        ("event", "event_name"),
        ("user_id", "userId"),
        ("message_id", "messageId"),
    ):
        if name in event:
            spelt |= draw(_both_or_either(name, other, event[name]))
    spelt["properties"] = event["properties"]
    spelt |= draw(_timestamps(event["timestamp"]))
    context = dict(event["context"])
    if "group_id" in event:
        held = draw(_both_or_either("group_id", "groupId", event["group_id"]))
        place = draw(st.sampled_from(["context", "top", "both"]))
        if place != "top":
            context |= held
        if place != "context":
            spelt |= held
    empty_is_sent: bool = draw(st.booleans())
    if context or empty_is_sent:
        spelt["context"] = context or draw(st.sampled_from([None, {}]))
    keys = list(spelt)
    random.Random(draw(st.integers(0, 99))).shuffle(keys)
    return {key: spelt[key] for key in keys}


@st.composite
def mutated_events(draw: st.DrawFn) -> Any:
    """A valid event in which something, somewhere, is replaced, removed or added."""
    event = json.loads(json.dumps(draw(spellings(draw(canonical_events())))))
    for _ in range(draw(st.integers(1, 3))):
        target = event
        inner = [value for value in event.values() if isinstance(value, dict)]
        inside: bool = draw(st.booleans())
        if inner and inside:
            target = draw(st.sampled_from(inner))
        names = [*target, "group_id", "messageId", "email", "originalTimestamp", "\0"]
        name = draw(st.sampled_from(names))
        if draw(st.integers(0, 3)) == 0:
            target.pop(name, None)
        else:
            target[name] = draw(odd_values())
    return event


def _nested(
    leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[str]
) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)
        ),
        max_leaves=10,
    )


def _both_or_either(
    name: str, other: str, value: Any
) -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from(
        [
            {name: value},
            {other: value},
            {name: value, other: value},
            {name: None, other: value},
            {name: value, other: None},
        ]
    )


def _timestamps(value: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from(
        [
            {"timestamp": value},
            {"originalTimestamp": value},
            {"timestamp": None, "originalTimestamp": value},
            {"timestamp": value, "originalTimestamp": "2026-11-20T00:00:00Z"},
        ]
    )
