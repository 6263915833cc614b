"""Requests about one athlete, for the tests of the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

#: A fixed past, so that answers can be compared between runs.
END = datetime(2026, 3, 31, 18, 30, tzinfo=UTC)


def body(end: datetime = END, days: int = 40, **more: Any) -> dict[str, Any]:
    """A footballer who trains every other day, sleeps, gives blood twice and jumps after training.

    The last session ends at `end`.
    """
    starts = [end - timedelta(days=day, minutes=90) for day in range(days, -1, -2)]
    return {
        "timezone": "Europe/Oslo",
        "athlete": {"sex": "female", "birth_year": 1999, "body_mass_kg": 63},
        "sessions": [_session(number, start) for number, start in enumerate(starts)],
        "sleep": [_night(end - timedelta(days=day)) for day in range(14, 0, -1)],
        "labs": [_ck(end - timedelta(days=day, hours=10)) for day in (20, 6)],
        "tests": [
            {
                "measured_at": (start - timedelta(minutes=15)).isoformat(),
                "test": "cmj_height",
                "value": 31.0 + 0.1 * (number % 5),
                "unit": "cm",
                "rested": number < 6,
            }
            for number, start in enumerate(starts)
        ],
        "nutrition": [{"date": "2026-03-20", "energy_kcal": 2600, "protein_g": 120}],
        **more,
    }


def _session(number: int, start: datetime) -> dict[str, Any]:
    return {
        "session_id": f"s{number}",
        "started_at": start.isoformat(),
        "duration_min": 90,
        "kind": "training",
        "modality": "soccer",
        "session_rpe": 4 + number % 4,
    }


def _night(day: datetime) -> dict[str, Any]:
    wake = day.replace(hour=6, minute=10)
    return {
        "onset_at": (wake - timedelta(hours=7, minutes=40)).isoformat(),
        "wake_at": wake.isoformat(),
        "asleep_min": 430,
        "deep_min": 85,
    }


def _ck(drawn: datetime) -> dict[str, Any]:
    return {
        "drawn_at": drawn.isoformat(),
        "analyte": "ck",
        "value": 240,
        "unit": "U/L",
        "specimen": "serum",
    }
