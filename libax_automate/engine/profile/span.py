"""Small written quantities: spans of time (``2d``), paces (``10/s``), times of day (``09:30``) and hours of quiet."""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import Any

from libax_automate.engine.spec import Cap, Quiet, Rate

_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN = re.compile(r"(\d{1,6})\s*(s|min|m|h|d|w)", re.ASCII)
_RATE = re.compile(r"(\d{1,6})\s*/\s*(\d{1,6})?\s*(s|sec|min|m|h|d)", re.ASCII)
_TIME = re.compile(r"([01]?\d|2[0-3])(?:[:h.]([0-5]\d)|h)", re.IGNORECASE | re.ASCII)
_DASH = re.compile(r"\s*[-\u2013\u2014]\s*")


def span_of(text: str) -> timedelta:
    """A span such as ``30m`` (minutes), ``2h``, ``1d``, ``2w``; raises ValueError saying what a span looks like."""
    match = _SPAN.fullmatch(text.strip().lower())
    if not match:
        raise ValueError(f'{text[:40]!r} is no span of time: write a number and m, h, d or w, such as "30m", "2h", "1d", "2w"')
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def rate_of(text: str) -> Rate:
    """A pace such as ``10/s``, ``100/min``, ``1000/h``, ``300/d`` or ``1/10s``; raises ValueError saying what a pace looks like."""
    match = _RATE.fullmatch(text.strip().lower())
    if not match or not int(match[1]) or match[2] == "0" * len(match[2] or "x"):
        raise ValueError(f'{text[:40]!r} is no pace: write calls per time, such as "10/s", "100/min", "1000/h" or "300/d"')
    unit = "s" if match[3] == "sec" else match[3]
    return Rate(int(match[1]), float(int(match[2] or 1) * _UNITS[unit]))


def time_of(value: Any) -> time:
    """A time of day: ``"09:30"``, ``"9h30"``, or TOML's own ``09:30:00``; raises ValueError otherwise."""
    if isinstance(value, time):
        if value.second or value.microsecond or value.tzinfo:
            raise ValueError("a time of day goes to the minute, and is the profile's local time")
        return value
    match = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError('a time of day is written "HH:MM", such as "09:30"')
    return time(int(match[1]), int(match[2] or 0))


_CAP = re.compile(r"(\d{1,4})\s*(?:per|por|/)\s*(.+)", re.ASCII)
_FACTOR = re.compile(r"(\d{1,3}(?:\.\d{1,2})?)\s*x", re.ASCII)


def cap_of(text: str) -> Cap | None:
    """A cap such as ``2 per 7d``; None for ``none``. Raises ValueError saying what a cap looks like."""
    plain = text.strip().lower()
    if plain == "none":
        return None
    match = _CAP.fullmatch(plain)
    if not match or not int(match[1]):
        raise ValueError(f'{text[:40]!r} is no cap: write messages per span of time, such as "2 per 7d", or "none"')
    span = span_of(match[2])
    if not span:
        raise ValueError(f"{text[:40]!r} caps nothing: its span is empty")
    return Cap(int(match[1]), span)


def brake_of(text: str) -> float:
    """A brake such as ``3x``; 0 for ``none``. Raises ValueError saying what a brake looks like."""
    plain = text.strip().lower()
    if plain == "none":
        return 0.0
    match = _FACTOR.fullmatch(plain)
    if not match or float(match[1]) < 1:
        raise ValueError(f'{text[:40]!r} is no brake: write how many times the usual size is too much, such as "3x", or "none"')
    return float(match[1])


def quiet_of(text: str) -> Quiet:
    """Hours of quiet such as ``21:00-09:00``, over midnight or not; raises ValueError otherwise."""
    parts = _DASH.split(text.strip())
    if len(parts) != 2:
        raise ValueError('hours of quiet are written "21:00-09:00"')
    start, end = time_of(parts[0]), time_of(parts[1])
    if start == end:
        raise ValueError("hours of quiet that end when they start leave no hour to send in")
    return Quiet(start, end)
