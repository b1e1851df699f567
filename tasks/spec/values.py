"""The values of a pipeline file: numbers, days with their unit (`28d`), hours, names; each with its JSON schema."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, StringConstraints, WithJsonSchema

from tasks.errors import quoted
from tasks.spec.cron import check_cron
from tasks.spec.project import PIPELINE_NAME

LONGEST_DESCRIPTION = 1_000
"""Characters."""
_DAY = r"^(19[7-9]\d|2[01]\d\d)-\d\d-\d\d$"
_LINK_NAME = r"^(?=.*\S)[^\[\]|<>\n]{1,40}$"
_HOUR = r"^([01]\d|2[0-3]):[0-5]\d$"


def _time_zone(name: str) -> str:
    if name != "UTC":
        raise ValueError(
            f"found {quoted(name)}, expected UTC: days are UTC days everywhere; to have the days of another zone, give "
            "staging's times as that zone's clock shows them (docs/time.md, Days of another zone)"
        )
    return name


def _link_name(name: str) -> str:
    # Joiners are invisible between Latin letters: two names could look the same.
    if re.fullmatch(_LINK_NAME, name) is None or "\u200c" in name or "\u200d" in name:
        raise ValueError(
            f"found {quoted(name)}, expected 1 to 40 characters that can be seen, without [ ] | < > and line breaks"
        )
    return name


def _description(text: str) -> str:
    if not text.strip():
        raise ValueError(f"found {quoted(text)}, expected a sentence for people")
    if len(text) > LONGEST_DESCRIPTION:
        raise ValueError(
            f"found a text of {len(text):,} characters, expected at most {LONGEST_DESCRIPTION:,}: a sentence for people"
        )
    return text


def _hour(value: Any) -> str:
    # Quotes are needed: YAML reads a bare 18:00 as 1080, a number in base 60.
    if not isinstance(value, str) or re.fullmatch(_HOUR, value, re.ASCII) is None:
        raise ValueError(f'found {quoted(value)}, expected an hour of the day in UTC, in quotes, like "06:00"')
    return value


def _some(days: int) -> int:
    if days < 1:
        raise ValueError("found 0d, expected at least 1d")
    return days


def _days(value: Any) -> int:
    # A bare 28 is refused: values carry their unit. (Defaults are plain numbers; pydantic does not validate them.)
    # ASCII, because Python takes the digits of any script for numbers, and no editor's check of the schema does.
    match = re.fullmatch(r"(\d{1,4})d", value, re.ASCII) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"found {quoted(value)}, expected a number of days with its unit, like 28d")
    return int(match[1])


def _day(value: Any) -> date:
    # Not what pydantic reads: to it 0 is 1970-01-01, and a time of day is cut off.
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    found = quoted(value)
    if not isinstance(value, str) or re.fullmatch(_DAY, value, re.ASCII) is None:
        raise ValueError(f"found {found}, expected a day from 1970-01-01 to 2199-12-31, like 2026-02-28")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"found {found}, which is not in the calendar") from None


def _span(value: Any) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"found {quoted(value)}, expected a time span with its unit, like 30m, 6h or 1d")
    return int(match[1]) * {"m": 1, "h": 60, "d": 24 * 60}[match[2]]


def _written(minutes: int) -> str:
    unit, size = next((unit, size) for unit, size in (("d", 1440), ("h", 60), ("m", 1)) if minutes % size == 0)
    return f"{minutes // size}{unit}"


Minutes = Annotated[
    int,
    BeforeValidator(_span),
    PlainSerializer(_written, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^[1-9][0-9]{0,4}[mhd]$", "examples": ["30m"]}),
]
"""A time span in minutes, written with its unit."""
Days = Annotated[
    int,
    BeforeValidator(_days),
    PlainSerializer(lambda days: f"{days}d", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,4}d$", "examples": ["28d"]}),
]
SomeDays = Annotated[
    Days,
    AfterValidator(_some),
    # Validators do not show in a JSON schema, so the pattern has to refuse 0d as well.
    WithJsonSchema({"type": "string", "pattern": r"^(?!0+d)\d{1,4}d$", "examples": ["28d"]}),
]
Day = Annotated[
    date,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "format": "date", "pattern": _DAY, "examples": ["2026-02-28"]}),
]
Whole = Annotated[int, Field(strict=True, le=2**31 - 1)]
"""A number written as one: neither "7" nor true nor 7.0. Libraries in C take 32 bits."""
PositiveInt = Annotated[Whole, Field(gt=0)]
NonNegativeInt = Annotated[Whole, Field(ge=0)]
# YAML has .inf and .nan, but the JSON whose digest names a version has neither.
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
PositiveFloat = Annotated[Number, Field(gt=0)]
NonNegativeFloat = Annotated[Number, Field(ge=0)]
Cron = Annotated[str, AfterValidator(check_cron)]
TimeZone = Annotated[str, AfterValidator(_time_zone), WithJsonSchema({"const": "UTC", "type": "string"})]
Hour = Annotated[
    str, BeforeValidator(_hour), WithJsonSchema({"type": "string", "pattern": _HOUR, "examples": ["06:00"]})
]
Name = Annotated[str, Field(pattern=rf"^{PIPELINE_NAME.pattern}$")]
Owner = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.@-]{0,62}$")]
LinkName = Annotated[
    str,
    AfterValidator(_link_name),
    WithJsonSchema({"type": "string", "pattern": _LINK_NAME, "examples": ["dashboard"]}),
]
Description = Annotated[
    str,
    AfterValidator(_description),
    WithJsonSchema({"type": "string", "pattern": r"\S", "maxLength": LONGEST_DESCRIPTION}),
]
# No brackets or blanks: the address stands in a Markdown link.
Url = Annotated[str, Field(pattern=r"^https?://[^\s()<>\[\]]{1,500}$")]
Column = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
RetrieverName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
