"""The PMSYS part of PMData: questionnaires, rated sessions and injury reports."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from nmr_ml.ingest import sources
from nmr_ml.ingest.account import USED
from nmr_ml.ingest.pmdata_files import Kept, Part, keep
from nmr_ml.reasons import Quarantine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: PMSYS scales, all higher = better. Readiness begins at 0, the others at 1: a 0 is no answer.
SCALES: Final = {
    "readiness": (0.0, 10.0),
    "fatigue": (1.0, 5.0),
    "soreness": (1.0, 5.0),
    "stress": (1.0, 5.0),
    "mood": (1.0, 5.0),
    "sleep_quality": (1.0, 5.0),
}
WELLNESS_COLUMNS: Final = ("effective_time_frame", *SCALES, "sleep_duration_h", "soreness_area")
SRPE_COLUMNS: Final = ("end_date_time", "activity_names", "perceived_exertion", "duration_min")
INJURY_COLUMNS: Final = ("effective_time_frame", "injuries")

#: What the names of an activity say; several kinds at once are `other`, and so is bare endurance.
MODALITIES: Final = {
    frozenset({"running"}): "running",
    frozenset({"endurance", "running"}): "running",
    frozenset({"soccer"}): "soccer",
    frozenset({"strength"}): "resistance",
}
ACTIVITIES: Final = frozenset({"individual", "team", "endurance", "running", "soccer", "strength"})
GRADES: Final = frozenset({"minor", "major"})
#: Reports of one body part that are closer than this are one injury.
RECURRENCE: Final = pd.Timedelta(days=14)
TIMEZONE: Final = "Europe/Oslo"
NO_INJURY: Final = "reports no injury and ends none"


def tests(part: Part) -> tuple[pd.DataFrame, Kept]:
    """Turn questionnaires into tests at their real time."""
    raw = part.rows
    answered = sources.times(raw["effective_time_frame"], "UTC")
    outcome = answered.outcome.copy()
    outcome[raw.duplicated(["athlete_id", "effective_time_frame"])] = Quarantine.DUPLICATE.value
    read = {name: sources.numbers(raw[name], bounds) for name, bounds in SCALES.items()}
    # The form was sent without an answer: all zeros, and 0 is below the scales.
    unanswered = pd.concat([read[name].outcome != USED for name in list(SCALES)[1:]], axis=1)
    outcome[(outcome == USED) & unanswered.all(axis=1)] = Quarantine.OUT_OF_RANGE.value
    kept = outcome[outcome == USED].index
    cells = {name: read[name].loc(kept) for name in SCALES}
    frames = [
        pd.DataFrame(
            {
                "athlete_id": raw["athlete_id"],
                "measured_at": answered.found,
                "test": name,
                "value": cell.found,
            }
        )
        for name, cell in cells.items()
    ]
    table = pd.concat(frames, ignore_index=True).dropna(subset=["value"])
    table = table.assign(unit="1", time_precision="minute", known_at=table["measured_at"])
    table = table.sort_values(["athlete_id", "measured_at"], kind="stable").reset_index(drop=True)
    no_place = {
        "sleep is measured by the Fitbit; the two are not mixed": ("sleep_duration_h",),
        "no column of the tests table": ("soreness_area",),
    }
    return table, keep(part, outcome, cells=cells, no_place=no_place)


def sessions(part: Part) -> tuple[pd.DataFrame, Kept]:
    """Turn rated sessions into sessions that end when the source says."""
    raw = part.rows
    end = sources.times(raw["end_date_time"], "UTC")
    missing = Quarantine.MISSING_VALUE.value
    effort = sources.numbers(raw["perceived_exertion"], (0.0, 10.0), empty=missing)
    length = sources.numbers(raw["duration_min"], (1.0, 3000.0), empty=missing)
    names = _parsed(raw["activity_names"], _activities)
    outcome = end.outcome.copy()
    for other in (effort.outcome, length.outcome, names.isna().map({True: "x", False: USED})):
        outcome = outcome.where(outcome != USED, other)
    outcome[outcome == "x"] = Quarantine.UNKNOWN_CATEGORY.value
    outcome[raw.duplicated(["athlete_id", "end_date_time"])] = Quarantine.DUPLICATE.value
    rows = raw[outcome == USED]
    ended = end.found[rows.index]
    table = pd.DataFrame(
        {
            "session_id": "pmdata-" + rows["athlete_id"] + "-" + rows["end_date_time"],
            "athlete_id": rows["athlete_id"],
            "started_at": ended - pd.to_timedelta(length.found[rows.index], unit="min"),
            "ended_at": ended,
            "duration_min": length.found[rows.index],
            "kind": "training",
            "modality": names[rows.index].map(lambda kinds: MODALITIES.get(kinds, "other")),
            "session_rpe": effort.found[rows.index],
            "time_precision": "minute",
            "known_at": ended,
        }
    ).reset_index(drop=True)
    table["started_at"] = table["started_at"].dt.as_unit("us")
    return table, keep(part, outcome)


def episodes(part: Part) -> tuple[pd.DataFrame, Kept]:
    """Turn injury reports into episodes: one for each body part and recurrence."""
    raw = part.rows
    told = sources.times(raw["effective_time_frame"], "UTC")
    injuries = _parsed(raw["injuries"], _injuries)
    outcome = told.outcome.copy()
    outcome[(outcome == USED) & injuries.isna()] = Quarantine.UNKNOWN_CATEGORY.value
    outcome[raw.duplicated(["athlete_id", "effective_time_frame"])] = Quarantine.DUPLICATE.value
    forms = [
        _Form(row, str(athlete), at, report)
        for row, (athlete, at, report, kept) in enumerate(
            zip(raw["athlete_id"], told.found, injuries, outcome == USED, strict=True)
        )
        if kept
    ]
    forms.sort(key=lambda form: form.at)
    found: list[dict[str, object]] = []
    ends: set[int] = set()
    for athlete in sorted({form.athlete_id for form in forms}):
        for episode, end in _of_one([form for form in forms if form.athlete_id == athlete]):
            found.append(episode)
            ends.update([end.row] if end else [])
    nothing = [form.row for form in forms if not form.injuries and form.row not in ends]
    outcome.iloc[nothing] = NO_INJURY
    return _table(found), keep(part, outcome)


@dataclass(frozen=True, slots=True)
class _Form:
    """One injury report: which row of the source, whose, when, and grade by body part."""

    row: int
    athlete_id: str
    at: pd.Timestamp
    injuries: dict[str, str]

    @property
    def day(self) -> pd.Timestamp:
        return self.at.tz_convert(TIMEZONE).normalize()


def _table(found: list[dict[str, object]]) -> pd.DataFrame:
    columns = ["episode_id", "athlete_id", "kind", "onset_at", "resolved_at", "body_region",
               "grade", "known_at"]  # fmt: skip
    table = pd.DataFrame(found, columns=columns)
    for name in ("onset_at", "resolved_at", "known_at"):
        table[name] = table[name].astype(pd.DatetimeTZDtype("us", "UTC"))
    return table


def _of_one(forms: list[_Form]) -> Iterator[tuple[dict[str, object], _Form | None]]:
    """Yield the episodes of one athlete, each with the report that ends it.

    The reports of one local day are read together: people send one form for each body part.
    """
    days = [list(own) for _, own in groupby(forms, key=lambda form: form.day)]
    dates = [own[0].day for own in days]
    for region in sorted({region for form in forms for region in form.injuries}):
        named = [n for n, own in enumerate(days) if any(region in form.injuries for form in own)]
        for first, last in _runs(named, dates):
            start = next(form for form in days[first] if region in form.injuries)
            # The whole day is without it only once its last report is in.
            end = days[last + 1][-1] if last + 1 < len(days) else None
            episode: dict[str, object] = {
                "episode_id": f"pmdata-{start.athlete_id}-{region}-{start.at:%Y%m%dT%H%M%S}",
                "athlete_id": start.athlete_id,
                "kind": "injury",
                "onset_at": start.at,
                "resolved_at": end.at if end else pd.NaT,
                "body_region": region,
                "grade": start.injuries[region],
                "known_at": start.at,
            }
            yield episode, end


def _runs(named: list[int], dates: list[pd.Timestamp]) -> Iterator[tuple[int, int]]:
    """Yield first and last day of each injury among the reporting days `named`.

    A new one begins after a day without it and more than `RECURRENCE` after the last with it.
    """
    first = named[0]
    for before, after in pairwise(named):
        if after > before + 1 and dates[after] - dates[before] > RECURRENCE:
            yield first, before
            first = after
    yield first, named[-1]


def _parsed(text: pd.Series[str], read: Callable[[Any], object]) -> pd.Series[Any]:
    """Return each cell as `read` makes it of its Python literal; None where that is none."""

    def one(cell: str) -> object:
        try:
            return read(ast.literal_eval(cell))
        except (ValueError, SyntaxError, TypeError, AttributeError):
            return None

    return pd.Series([one(cell) for cell in text], index=text.index, dtype=object)


def _activities(names: Iterable[str]) -> frozenset[str] | None:
    kinds = frozenset(names)
    return kinds - {"individual", "team"} if kinds <= ACTIVITIES else None


def _injuries(report: dict[str, str]) -> dict[str, str] | None:
    return dict(report) if set(report.values()) <= GRADES else None
