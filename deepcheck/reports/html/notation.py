"""Numbers, lengths and times as the page writes them."""

import calendar
import math
from datetime import datetime

MINUS = "\u2212"  # a hyphen is narrower than a plus, and screen readers pass over it


def clock(seconds: float | None, decimals: int = 1) -> str:
    """A position or a length: `0:04.2`, from an hour on `1:01:04.2`; "" if it is not known."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    unit = 10**decimals
    whole, rest = divmod(round(seconds * unit), unit)  # round first: 59.96 s is a minute
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
    return f"{text}.{rest:0{decimals}d}" if decimals else text


def span(start_s: float, end_s: float) -> str:
    """A stretch of time: `0:04.0\u20130:08.0`."""
    return f"{clock(start_s)}\u2013{clock(end_s)}"


def signed(value: float | None, decimals: int = 2) -> str:
    """A score with its sign: `+1.25`; "" where there is none."""
    if value is None or math.isnan(value):
        return ""
    if math.isinf(value):
        return "+\u221e" if value > 0 else f"{MINUS}\u221e"
    return f"{value:+.{decimals}f}".replace("-", MINUS)


def measure(value: float, unit: str, decimals: int = 0) -> str:
    """A measurement with its unit: `23 dB`; "" where there is none."""
    return f"{value:,.{decimals}f} {unit}".strip().replace("-", MINUS) if math.isfinite(value) else ""


def limit(threshold: float, direction: str) -> str:
    """A threshold: `+1.49 or above`; `never` for one that no score can reach."""
    return f"{signed(threshold)} {direction}".strip() if reachable(threshold) else "never"


def reachable(threshold: float) -> bool:
    """Whether there are such scores at all: a model that may give no verdict has thresholds beyond any."""
    return abs(threshold) < 1e5


def count(number: int, what: str, many: str | None = None) -> str:
    """`1 file`, `3 files`; `many` is the plural that is not made with an s."""
    return f"{number} {what if number == 1 else many or what + 's'}"


def rate(share: float) -> str:
    """A stated error rate: `1 %`, `0.5 %`."""
    return f"{100 * share:g} %"


def moment(iso: str) -> str:
    """`14 March 2026, 09:30 UTC` of an ISO 8601 time; what is no such time comes back as it is."""
    try:
        time = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    month = calendar.month_name[time.month]
    return f"{time.day} {month} {time.year}, {time:%H:%M} {time.tzname() or ''}".strip()
