"""Strategies for Hypothesis that more than one test file draws from."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_NUMBER = datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)
_LONGEST = datetime(2098, 12, 30, tzinfo=UTC) - EPOCH


@dataclass(frozen=True, slots=True)
class SentTimestamp:
    """A timestamp as a sender may write it, and the instant that it means."""

    sent: str | float | Decimal
    instant: datetime
    codes: frozenset[str]


def instants() -> st.SearchStrategy[datetime]:
    """Aware UTC, 1970 to 2098; often the first moments of a day or a month."""
    anywhere = st.timedeltas(timedelta(days=1), _LONGEST).map(lambda age: EPOCH + age)
    first_second = st.builds(
        lambda at, day, micro: at.replace(
            day=day or at.day, hour=0, minute=0, second=0, microsecond=micro
        ),
        anywhere,
        st.sampled_from([None, 1]),
        st.one_of(st.just(0), st.integers(0, 999_999)),
    )
    return st.one_of(anywhere, first_second)


@st.composite
def date_texts(draw: st.DrawFn) -> SentTimestamp:
    """A date alone."""
    instant = draw(instants()).replace(hour=0, minute=0, second=0, microsecond=0)
    dash = draw(st.sampled_from(["-", ""]))
    sent = f"{instant.year:04}{dash}{instant.month:02}{dash}{instant.day:02}"
    return SentTimestamp(sent, instant, frozenset({"time_assumed_midnight"}))


@st.composite
def date_time_texts(draw: st.DrawFn) -> SentTimestamp:
    """Any accepted form of a date with a time, under the policy `ymd`."""
    instant = draw(instants())
    form = draw(st.sampled_from(["extended", "basic", "two-digit"]))
    if draw(st.booleans()):
        instant = instant.replace(second=0, microsecond=0)
    offset, offset_text = draw(_offsets(lower=form != "two-digit"))
    codes = set() if offset_text else {"offset_assumed_utc"}
    local = instant + timedelta(minutes=offset)
    if form == "two-digit" and local.year < 2000:
        form = "extended"
    if form == "two-digit":
        codes.add("two_digit_year")
    hour, minute, second = local.hour, local.minute, local.second
    opens_month = (instant.day, instant.hour, instant.minute) == (1, 0, 0)
    if opens_month and instant.second == 0 and draw(st.booleans()):
        local -= timedelta(seconds=1)
        hour, minute, second = local.hour, local.minute, 60
        codes.add("leap_second")
    elif local.time() == datetime.min.time() and draw(st.booleans()):
        local -= timedelta(days=1)
        hour = 24
    fraction, cut = draw(_fractions(instant.microsecond, may_cut=hour != 24))
    if cut:
        codes.add("precision_cut")
    point = draw(st.sampled_from(".," if form != "two-digit" else "."))
    separator = draw(st.sampled_from({"extended": "Tt ", "basic": "Tt"}.get(form, "T")))
    colon, dash = ("", "") if form == "basic" else (":", "-")
    year = f"{local.year:04}"[2 if form == "two-digit" else 0 :]
    sent = f"{year}{dash}{local.month:02}{dash}{local.day:02}{separator}"
    sent += f"{hour:02}{colon}{minute:02}"
    if second or fraction or draw(st.booleans()):
        sent += f"{colon}{second:02}" + (point + fraction if fraction else "")
    return SentTimestamp(sent + offset_text, instant, frozenset(codes))


@st.composite
def epoch_numbers(draw: st.DrawFn) -> SentTimestamp:
    """A number of any unit, whole or with a fraction, or the text of its digits."""
    instant = max(draw(instants()), FIRST_NUMBER)
    digits = draw(st.sampled_from([0, 3, 6, 9]))
    total = (instant - EPOCH) // timedelta(microseconds=1) * 1_000
    whole, rest = divmod(total, 10 ** (9 - digits))
    codes = {"epoch_number"}
    if rest == 0 and draw(st.booleans()):
        return SentTimestamp(
            str(whole) if draw(st.booleans()) else whole, instant, frozenset(codes)
        )
    exact = Decimal(total).scaleb(digits - 9)
    if draw(st.booleans()):
        exact += Decimal(1).scaleb(digits - 10)  # a tenth of a nanosecond
        codes.add("precision_cut")
        return SentTimestamp(exact, instant, frozenset(codes))
    # The double nearest to a number of so few digits names the same number.
    sent = exact if digits == 9 else float(exact)
    return SentTimestamp(sent, instant, frozenset(codes))


@st.composite
def zoned_texts(draw: st.DrawFn) -> SentTimestamp:
    """An ISO time with a spaced offset, a zone name, or suffixes of RFC 9557."""
    instant = draw(instants())
    minutes = draw(st.integers(-1439, 1439))
    local = (instant + timedelta(minutes=minutes)).replace(tzinfo=None)
    written = local.isoformat(draw(st.sampled_from(["T", " "])), "microseconds")
    hours, rest = divmod(abs(minutes), 60)
    plain = f"{'+' if minutes >= 0 else '-'}{hours:02}{rest:02}"
    offset = draw(st.sampled_from([plain, f"{plain[:3]}:{plain[3:]}"]))
    zones = ["", f" {plain}", " CEST", f" {plain} m=+0.1", "[Europe/Berlin]"]
    zones += ["[u-ca=gregory]", "[America/Argentina/Ushuaia][u-ca=iso8601][x=y-z]"]
    space = draw(st.sampled_from(["", " "]))
    zone = draw(st.sampled_from(zones if space else zones[4:]))
    if minutes == 0 and draw(st.booleans()):
        space, offset = " ", draw(st.sampled_from(["UTC", "GMT", "Z"]))
        zone = draw(st.sampled_from(["", "[Europe/Berlin]"]))
    codes = {"zone_name_ignored"} if zone else set()
    return SentTimestamp(written + space + offset + zone, instant, frozenset(codes))


@st.composite
def month_name_texts(draw: st.DrawFn) -> SentTimestamp:
    """A date of RFC 5322 or HTTP, of JavaScript, of C or of Java."""
    instant = draw(instants()).replace(microsecond=0)
    minutes = draw(st.integers(-1439, 1439))
    local = instant + timedelta(minutes=minutes)
    weekday, month, day = local.strftime("%a %b %d").split()
    clock, year = local.strftime("%H:%M:%S"), f"{local.year:04}"
    sign, (hours, rest) = "+" if minutes >= 0 else "-", divmod(abs(minutes), 60)
    offset = f"{sign}{hours:02}{rest:02}"
    padded = f"{local.day:2}"
    forms = [
        f"{weekday}, {day} {month} {year} {clock} {offset}",
        f"{local.day} {month} {year} {clock} {offset} (Central European Time)",
        f"{weekday} {month} {day} {year} {clock} GMT{offset} (\u4e2d\u56fd)",
        f"{weekday} {month} {day} {clock} {offset} {year}",
    ]
    codes = {"not_iso_8601"}
    if minutes == 0:
        forms = [
            f"{weekday}, {day} {month} {year} {clock} GMT",
            f"{weekday} {month} {padded} {clock} UTC {year}",
        ]
        if draw(st.booleans()):
            forms, codes = (
                [f"{weekday} {month} {padded} {clock} {year}"],
                codes | {"offset_assumed_utc"},
            )
    return SentTimestamp(draw(st.sampled_from(forms)), instant, frozenset(codes))


def sent_timestamps() -> st.SearchStrategy[SentTimestamp]:
    """Every kind of timestamp that is accepted."""
    return st.one_of(
        date_time_texts(),
        date_texts(),
        epoch_numbers(),
        zoned_texts(),
        month_name_texts(),
    )


@st.composite
def _offsets(draw: st.DrawFn, *, lower: bool) -> tuple[int, str]:
    """Minutes east of UTC, and how they are written."""
    kind = draw(st.sampled_from(["none", "zulu", "number"]))
    if kind == "none":
        return 0, ""
    if kind == "zulu":
        return 0, draw(st.sampled_from("Zz" if lower else "Z"))
    sign = draw(st.sampled_from([1, -1]))
    hour, minute = draw(st.integers(0, 23)), draw(st.integers(0, 59))
    text = f"{'+' if sign == 1 else '-'}{hour:02}"
    if minute or draw(st.booleans()):
        text += draw(st.sampled_from([":", ""])) + f"{minute:02}"
    return sign * (hour * 60 + minute), text


@st.composite
def _fractions(draw: st.DrawFn, microsecond: int, *, may_cut: bool) -> tuple[str, bool]:
    """Digits of the fraction, and whether something but zeros is past the sixth."""
    kept = f"{microsecond:06}"
    tail = draw(st.text("0123456789" if may_cut else "0", max_size=12))
    if tail:
        return kept + tail, tail.strip("0") != ""
    shortest = len(kept.rstrip("0"))
    return kept[: draw(st.integers(shortest, 6))], False
