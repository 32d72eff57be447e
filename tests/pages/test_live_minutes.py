"""What watchers are told of minutes, and of what passed by without a look."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from app.pages.live.minutes import MinuteNews
from app.store.read.arrivals import Counts, Look
from app.store.read.minutes import MINUTE, Minutes

NOW = datetime(2026, 11, 22, 1, 2, 30, tzinfo=UTC)
THIS = NOW.replace(second=0)


def look(since: datetime, until: datetime, stored: int, unread: int) -> Look:
    minutes = {THIS: Counts(stored, 0)} if stored else {}
    return Look([], since, until, minutes, unread)


def data_of(frame: bytes | None) -> dict[str, Any]:
    assert frame is not None
    [line] = [line for line in frame.split(b"\n") if line.startswith(b"data: ")]
    data: dict[str, Any] = orjson.loads(line.removeprefix(b"data: "))
    return data


def test_what_passed_by_is_told_and_not_at_every_look() -> None:
    news = MinuteNews(arrivals=None)  # type: ignore[arg-type]  # nothing is counted here
    later = NOW + timedelta(seconds=1)
    news.begin(look(NOW, NOW, 0, 0))
    news.add(look(NOW, later, 5, 3))
    news.add(look(later, later, 0, 2))
    assert data_of(news.tell_news())["unread"] == 5
    news.add(look(later, later, 0, 1))
    assert news.tell_news() is None


def test_a_minute_in_which_nobody_watched_for_a_while_is_counted_anew() -> None:
    minutes = Minutes()
    minutes.begin(NOW)
    while gap := minutes.gap():
        minutes.fill(gap, {gap[0]: Counts(1, 0)})
    minutes.add({THIS: Counts(2, 0)}, until=NOW + timedelta(seconds=5))
    assert dict(minutes.known())[THIS] == Counts(3, 0)

    minutes.begin(NOW + timedelta(seconds=20))
    assert minutes.gap() == (THIS, NOW + timedelta(seconds=20))
    assert THIS not in dict(minutes.known())
    # Of those before it, all is known.
    assert dict(minutes.known())[THIS - MINUTE] == Counts(1, 0)
    minutes.fill((THIS, NOW + timedelta(seconds=20)), {THIS: Counts(9, 0)})
    assert minutes.gap() is None
    assert dict(minutes.known())[THIS] == Counts(9, 0)
