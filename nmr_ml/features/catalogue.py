"""The catalogue: what each feature is, where its formula comes from and when it is missing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from nmr_ml.cohort.tables import MODALITIES, SESSION_KINDS, SEXES
from nmr_ml.features.measured import (
    ANALYTE_SERIES,
    ITEMS,
    LOAD_WINDOWS_D,
    NIGHT_COLUMNS,
    RATIOS,
    SESSION_COLUMNS,
    SUMMED_COLUMNS,
)

Group = Literal["load", "sleep", "endocrine", "nutrition", "person", "history"]
GROUPS: tuple[Group, ...] = ("load", "sleep", "endocrine", "nutrition", "person", "history")


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the feature matrix.

    Parameters
    ----------
    name, unit, formula, source, null_rule : str
        `null_rule` says when the value is NaN, apart from inputs that are missing.
    max_age_h : float or None, h
        Oldest event that may stand behind the value; None where age has no meaning.
    always : bool
        True for a value that is there whatever is known, such as a count; it does not make its
        group complete.
    categories : tuple of str
        What the codes 0, 1, … stand for.
    """

    name: str
    unit: str
    group: Group
    formula: str
    source: str
    null_rule: str
    max_age_h: float | None
    always: bool = False
    categories: tuple[str, ...] = ()


_DAY_H = 24.0
_HORIZON_H = 112 * _DAY_H
_OWN = "injury or systemic episode, or the session is not known at as_of"
_COVER = "no session on record between 112 d and {0} before as_of"
_PRIOR = "no such session in the 112 d before as_of"


def _own_session() -> list[Feature]:
    codes = {"modality": MODALITIES, "kind": SESSION_KINDS}
    copied = [
        Feature(
            f"session_{name.removeprefix('session_')}", unit, "load",
            f"{name} of the episode's own session", "contract §2", _OWN, None,
            categories=codes.get(name, ()),
        )
        for name, unit in SESSION_COLUMNS.items()
    ]  # fmt: skip
    return [
        *copied,
        Feature(
            "session_edwards_trimp_au", "au", "load", "Σ i x minutes in heart rate zone i, i = 1…5",
            "Edwards; domain.md §3.1", f"{_OWN}; a zone is unknown", None,
        ),
        Feature(
            "session_start_clock_h", "h", "load", "local time at which the session started, 0-24",
            "contract §2", f"{_OWN}; day-precision session", None,
        ),
        Feature(
            "session_banister_trimp_au", "au", "load",
            "min x r x a·exp(b·r), r = (mean HR - rest) / (max - rest); men a 0.64, b 1.92; women "
            "0.86, 1.67; rest = mean overnight resting HR of the 28 d before the session",
            "Banister; domain.md §3.1",
            f"{_OWN}; sex, mean, maximal or resting HR unknown; r outside 0-1", None,
        ),
    ]  # fmt: skip


def _windows() -> list[Feature]:
    nulls = (
        _COVER + "; sessions in the window but none with a known value; no session in the window "
        "and none with a known value in the 28 d before as_of"
    )
    loads = [
        Feature(
            f"load_sum_{days}d_au", "RPE x min", "load",
            f"Σ known load of the sessions that ended in the last {days} d; 0 = rest on record",
            "Foster 1998; domain.md §3.1", nulls.format(f"{days} d"), days * _DAY_H,
        )
        for days in LOAD_WINDOWS_D
    ]  # fmt: skip
    others = [
        Feature(
            f"{name[: name.rindex('_')]}_sum_{days}d_{name[name.rindex('_') + 1 :]}", unit, "load",
            f"Σ known {name} of the sessions that ended in the last {days} d; 0 = rest on record",
            "domain.md §3.1", nulls.format(f"{days} d"), days * _DAY_H,
        )
        for days in (7, 28)
        for name, unit in SUMMED_COLUMNS.items()
    ]  # fmt: skip
    counts = [
        Feature(
            f"{what}_{days}d_n", "1", "load", f"{text} that ended in the last {days} d",
            "contract §2", "never", days * _DAY_H, always=True,
        )
        for what, text in (
            ("sessions", "sessions on record"),
            ("unknown_load_sessions", "sessions of unknown load"),
        )
        for days in (7, 28)
    ]  # fmt: skip
    matches = [
        Feature(
            f"matches_{days}d_n", "1", "load",
            f"matches and races that ended in the last {days} d; 0 = none among sessions of known "
            "kind", "contract §2",
            "sessions in the window but none of known kind; no session in the window and none of "
            "known kind in the 28 d before as_of", days * _DAY_H,
        )
        for days in (7, 28)
    ]  # fmt: skip
    return [*loads, *others, *counts, *matches]


def _load_state() -> list[Feature]:
    decay = "Σ load · k^(age in whole hours / 24) over 112 d"
    short = "no known load in 112 d; " + _COVER
    days7 = (
        "a session before the 7 days is not on record within 112 d; an unknown load in the 7 days; "
        "SD of the daily sums at most 1e-6"
    )
    return [
        Feature("acute_load_ewma7_au", "RPE x min per d", "load", f"λ·{decay}, k = 1-λ, λ = 2/8",
                "Williams 2017; domain.md §3.1", short.format("7 d"), _HORIZON_H),
        Feature("chronic_load_ewma28_au", "RPE x min per d", "load",
                f"λ·{decay}, k = 1-λ, λ = 2/29",
                "Williams 2017; domain.md §3.1", short.format("28 d"), _HORIZON_H),
        Feature("acute_chronic_load_ln", "ln(ratio)", "load",
                "ln acute_load_ewma7_au - ln chronic_load_ewma28_au",
                "domain.md §3.1 (in place of the coupled ACWR)",
                "either of them missing or 0", _HORIZON_H),
        Feature("banister_fitness_au", "RPE x min", "load", f"{decay}, k = exp(-1/42)",
                "Morton 1990; domain.md §3.1, τ1 = 42 d", short.format("42 d"), _HORIZON_H),
        Feature("banister_fatigue_au", "RPE x min", "load", f"{decay}, k = exp(-1/7)",
                "Morton 1990; domain.md §3.1, τ2 = 7 d", short.format("7 d"), _HORIZON_H),
        Feature("monotony_7d", "1", "load",
                "mean / sample SD of the daily sums of the 7 complete local days before as_of",
                "Foster 1998; domain.md §3.1", days7, 8 * _DAY_H),
        Feature("strain_7d_au", "RPE x min", "load", "sum of those 7 days x monotony_7d",
                "Foster 1998; domain.md §3.1", days7, 8 * _DAY_H),
        Feature("load_record_d", "d", "load",
                "days from the first session on record within 112 d to as_of: how much of the "
                "decays is covered", "contract §4 (completeness)",
                "no session in 112 d", _HORIZON_H, always=True),
    ]  # fmt: skip


def _before_session() -> list[Feature]:
    gap = "; whole local days x 24 where either end has day precision"
    loading = "loading: unknown load, or at least half the median known load of those 112 d"
    return [
        Feature(
            "session_load_vs_median_ln", "ln(ratio)", "load",
            "ln of the session's load over the median known load of the 112 d before it",
            "own definition", f"{_OWN}; fewer than 3 earlier known loads; a load of 0", _HORIZON_H,
        ),
        Feature("previous_session_gap_h", "h", "history",
                "clock start - end of the session before it" + gap, "domain.md §3.1", _PRIOR,
                _HORIZON_H),
        Feature("previous_session_load_au", "RPE x min", "history",
                "load of the session before the clock start", "domain.md §3.1",
                f"{_PRIOR}; its load is unknown", _HORIZON_H),
        Feature("previous_loading_gap_h", "h", "history",
                "clock start - end of the loading session before it" + gap + "; " + loading,
                "contract §1", _PRIOR, _HORIZON_H),
        Feature("previous_loading_load_au", "RPE x min", "history",
                "load of the loading session before the clock start; " + loading, "contract §1",
                f"{_PRIOR}; its load is unknown", _HORIZON_H),
        Feature("same_modality_gap_h", "h", "history",
                "clock start - end of the previous session of the same modality" + gap,
                "repeated-bout effect; domain.md §3.6", f"{_OWN}; modality unknown; {_PRIOR}",
                _HORIZON_H),
        Feature("same_modality_28d_n", "1", "history",
                "sessions of the same modality in the 28 d before the clock start",
                "repeated-bout effect; domain.md §3.6", f"{_OWN}; modality unknown", 28 * _DAY_H,
                always=True),
        Feature("eccentric_reps_before_28d_n", "1", "history",
                "Σ known eccentric_reps_n of the 28 d before the clock start",
                "repeated-bout effect; domain.md §3.6", "no session with a known number",
                28 * _DAY_H),
        Feature("same_day_sessions_before_n", "1", "history",
                "sessions on record that ended on the local day of the clock start, before it",
                "contract §1", "never", _DAY_H, always=True),
    ]  # fmt: skip


#: Quantities of a night that depend on when it began or ended.
_TIMED = frozenset({"efficiency", "latency", "deep_first3h", "deep_first3h_share", "midpoint"})


def _untimed(quantity: str) -> str:
    return "; night of day precision" if quantity in _TIMED else ""


_SLEEP_BASELINE = (
    "own baseline: at least 7 nights (3 h or longer) of the same device in the 28 d up to the "
    "clock start, the night itself left out"
)


def _sleep() -> list[Feature]:
    formulas = {
        "efficiency": "asleep / (wake - onset)",
        "deep_first3h": "deep minutes of the first 3 h (the deep sleep window)",
        "deep_first3h_share": "deep_first3h_min / deep_min",
        "midpoint": "local hour of the middle of the night, 0 = midnight before waking",
        "ln_rmssd": "ln overnight RMSSD",
        "resting_hr": "overnight resting heart rate",
    }
    last = [
        Feature(
            f"last_night_{name}_z", "SD", "sleep",
            f"({formulas.get(name, name + ' minutes')} [{unit}] of the last night - mean) / "
            f"max(SD, {floor:g} {unit}); {_SLEEP_BASELINE}",
            "domain.md §3.2", "no night that ended in the last 36 h; baseline too small"
            + _untimed(name), 36.0,
        )
        for name, (unit, floor) in NIGHT_COLUMNS.items()
    ]  # fmt: skip
    since = [
        Feature(
            f"nights_since_{name}_z", "SD", "sleep",
            f"mean of the same deviation over the nights that ended after the clock start; "
            f"{_SLEEP_BASELINE}",
            "domain.md §3.2", "no such night of the newest night's device; baseline too small"
            + _untimed(name), _HORIZON_H,
        )
        for name in NIGHT_COLUMNS
    ]  # fmt: skip
    return [
        *last,
        *since,
        Feature("last_night_age_h", "h", "sleep",
                "as_of - waking of the last night; whole local days x 24 for day precision",
                "contract §4", "no night that ended in the last 36 h", 36.0),
        Feature("nights_since_n", "1", "sleep", "nights on record since the clock start",
                "contract §2", "never", _HORIZON_H, always=True),
        Feature("sleep_debt_14d_h", "h", "sleep",
                "8 h x local days with a known duration - Σ asleep, naps included, over 14 d",
                "domain.md §3.2", "fewer than 10 such days", 14 * _DAY_H),
        Feature("midpoint_sd_14d_h", "h", "sleep", "sample SD of the midpoint over 14 d",
                "regularity; domain.md §3.2", "fewer than 7 nights that are not of day precision",
                14 * _DAY_H),
        Feature("sleep_regularity_index_14d", "-100 to 100", "sleep",
                "100 (2p - 1), p the share of time in the same state, asleep or awake, as 24 h "
                "before; mean over the pairs of nights (12 to 36 h between their wakings) of 14 d; "
                "not in bed is awake; naps below 3 h left out", "Phillips 2017; domain.md §3.2",
                "fewer than 7 pairs of nights filled to 90 % with epochs of known stage",
                14 * _DAY_H),
    ]  # fmt: skip


_LAB_BASELINE = (
    "own baseline: mean ln of the last 3 to 12 earlier samples, at or before the clock start, of "
    "the same specimen within 365 d, at rest and above the LOQ"
)
_WAKE_CORRECTION = "; testosterone and cortisol corrected to 1 h after waking where it is known"


def _endocrine() -> list[Feature]:
    features = []
    for series in ANALYTE_SERIES:
        rest = " at rest (2 h or more after a session)" if series.resting else ""
        age = series.max_age_d * _DAY_H
        note = " (pulsatile: one value says little)" if series.name == "gh" else ""
        stale = f"no sample in {series.max_age_d} d"
        features += [
            Feature(f"{series.name}_ln", f"ln({series.unit})", "endocrine",
                    f"ln of the last blood sample{rest}{note}; below LOQ: ln(LOQ/√2)"
                    + _WAKE_CORRECTION, "domain.md §3.3; Hornung & Reed 1990",
                    f"{stale}; saliva or urine; testosterone (also free), cortisol or SHBG in "
                    "blood under hormonal contraception", age),
            Feature(f"{series.name}_dev_ln", "ln(ratio)", "endocrine",
                    f"ln of the last sample{rest}{note} - baseline; {_LAB_BASELINE}"
                    + _WAKE_CORRECTION, "domain.md §3.3-3.4",
                    f"{stale}; fewer than 3 baseline samples", age),
            Feature(f"{series.name}_age_d", "d", "endocrine",
                    "as_of - draw of the last sample; whole local days for day precision",
                    "contract §4", stale, age),
        ]  # fmt: skip
    for name, top, bottom in RATIOS:
        made = (
            " measured, or else calculated from testosterone and SHBG in blood (Vermeulen 1999; "
            "albumin 43 g/L), each with its own baseline"
        )
        what = (
            f"ln({top}{made if name == 'free_tc' else ''} / {bottom}), drawn at most 30 min apart, "
            "same specimen, corrected"
        )
        nulls = (
            "no pair at rest and above the LOQ in 30 d; blood under hormonal contraception; fewer "
            "than 3 baseline pairs"
        )
        features += [
            Feature(f"{name}_dev_ln", "ln(ratio)", "endocrine", f"{what} - baseline of pairs",
                    "domain.md §3.3", nulls, 30 * _DAY_H),
            Feature(f"{name}_drop_30pct_p", "1", "endocrine",
                    f"posterior P(true fall ≥ 30 %) of {what}: resting SD 0.24 (0.35 where waking "
                    "time is unknown), n baseline pairs, prior SD 0.25 of a true change",
                    "domain.md §3.3; Adlercreutz 1986", nulls, 30 * _DAY_H),
            Feature(f"{name}_age_d", "d", "endocrine",
                    "as_of - draw of the last pair; whole local days for day precision",
                    "contract §4", nulls.rpartition(";")[0], 30 * _DAY_H),
        ]  # fmt: skip
    return [
        *features,
        Feature("hormone_after_exercise", "1", "endocrine",
                "1 where the newest testosterone or cortisol sample of 30 d was drawn within 2 h "
                "of a session and is therefore left out, else 0", "domain.md §3.3",
                "no such sample", 30 * _DAY_H),
    ]  # fmt: skip


def _nutrition() -> list[Feature]:
    stale = "no day known in 3 d; body mass unknown"
    ea = "(energy eaten - session energy of that local day) / fat-free mass"
    ea_null = "fat-free mass, energy eaten or the energy of a session of that day unknown"
    features = []
    for name in ("carbohydrate", "protein"):
        features += [
            Feature(f"{name}_last_day_g_kg", "g/kg", "nutrition",
                    f"{name} of the last known day / body mass", "domain.md §3.5", stale, 72.0),
            Feature(f"{name}_3d_g_kg", "g/kg", "nutrition",
                    f"mean {name} of the known days of the last 3 / body mass", "domain.md §3.5",
                    "fewer than 2 days known; body mass unknown", 72.0),
        ]  # fmt: skip
    return [
        *features,
        Feature("energy_availability_kcal_kg", "kcal/kg fat-free mass", "nutrition",
                f"{ea}, last known day; optional, and private to the athlete", "domain.md §3.5",
                f"no day in 3 d; {ea_null}", 72.0),
        Feature("nutrition_age_h", "h", "nutrition", "as_of - end of the last known day",
                "contract §4", "no day known in 3 d", 72.0),
    ]  # fmt: skip


def _person() -> list[Feature]:
    def person(name: str, unit: str, formula: str, null: str = "unknown",
               categories: tuple[str, ...] = ()) -> Feature:  # fmt: skip
        return Feature(
            name, unit, "person", formula, "domain.md §3.6", null, None, categories=categories
        )

    return [
        person("sex", "category", "sex; unknown is missing", categories=SEXES),
        person("age_y", "y", "local year of as_of - birth_year"),
        person("training_tier", "0-5", "McKay 2022"),
        person("body_mass_kg", "kg", "body mass"),
        person("fat_free_share", "1", "fat-free mass / body mass", "either unknown; above 1"),
        person("stature_cm", "cm", "stature"),
        person("hormonal_contraception", "1", "1 yes, 0 no"),
    ]


def _record() -> list[Feature]:
    base = "rested baseline of the episode (contract §1)"
    before = "tests before the clock start only"
    index = [
        Feature("index_deficit_last", "% or points", "history",
                f"deficit of the last index test, in the impaired direction, from the {base}; "
                f"{before}", "contract §1", "no index test in 28 d; no baseline", 28 * _DAY_H),
        Feature("index_deficit_7d", "% or points", "history",
                f"mean deficit of the index tests of 7 d from the {base}; {before}",
                "contract §1", "no index test in 7 d; no baseline", 7 * _DAY_H),
        Feature("index_age_h", "h", "history",
                "clock start - last index test; whole local days x 24 for day precision",
                "contract §4", "no index test in 28 d", 28 * _DAY_H),
        Feature("index_tests_28d_n", "1", "history",
                f"index tests known of the 28 d before the clock start; {before}", "contract §1",
                "the cohort has no index test of the component", 28 * _DAY_H, always=True),
        Feature("baseline_tests_n", "1", "history", "rested tests in the baseline, at most 6",
                "contract §1", "the cohort has no index test of the component", 120 * _DAY_H,
                always=True),
        Feature("baseline_se", "% or points", "history",
                "standard error of the baseline from the tests' typical errors", "contract §1",
                "fewer than 3 rested tests", 120 * _DAY_H),
    ]  # fmt: skip
    return [
        *index,
        *[feature for item in ITEMS for feature in _item(item)],
        Feature("injuries_365d_n", "1", "history", "injuries with onset in the 365 d before the "
                "clock start", "domain.md §3.6", "never", 365 * _DAY_H, always=True),
        Feature("systemic_365d_n", "1", "history", "systemic episodes, likewise",
                "domain.md §3.6", "never", 365 * _DAY_H, always=True),
        Feature("open_events_n", "1", "history", "of these, those not resolved at as_of",
                "contract §2", "never", 365 * _DAY_H, always=True),
        Feature("since_resolved_d", "d", "history",
                "as_of - the latest resolved_at up to as_of of an earlier injury or systemic "
                "episode", "domain.md §3.6", "none resolved in 365 d", 365 * _DAY_H),
        Feature("landmark_h", "h", "history", "as_of - clock start", "contract §1", "never", None,
                always=True),
        Feature("clock_weekday", "0-6", "history", "local weekday of the clock start, 0 = Monday",
                "own definition", "never", None, always=True),
    ]  # fmt: skip


def _item(item: str) -> list[Feature]:
    what = f"last {item} before the clock start"
    stale = "none in the 72 h before the clock start"
    few = f"{stale}; fewer than 5 values in the 28 d before it"
    return [
        Feature(f"{item}_dev_28d", "points", "history", f"{what} - mean of the 28 d before it",
                "README of the real data: predicts best", few, 72.0),
        Feature(f"{item}_dev_ewm", "points", "history",
                f"{what} - mean of the 28 d before it weighted 2^(-age in whole hours / 168)",
                "README of the real data: predicts best", few, 72.0),
        Feature(f"{item}_change", "points", "history",
                f"{what} - the one before it, at most 72 h earlier", "own definition",
                f"{stale}; none in the 72 h before it", 144.0),
        Feature(f"{item}_age_h", "h", "history",
                "clock start - that questionnaire; whole local days x 24 for day precision",
                "contract §4", stale, 72.0),
    ]  # fmt: skip


@cache
def blocks() -> dict[str, tuple[Feature, ...]]:
    """Return the features by the kernel that computes them, in the order of its columns."""
    return {
        "own_session": tuple(_own_session()),
        "windows": tuple(_windows()),
        "load_state": tuple(_load_state()),
        "before_session": tuple(_before_session()),
        "sleep": tuple(_sleep()),
        "endocrine": tuple(_endocrine()),
        "nutrition": tuple(_nutrition()),
        "person": tuple(_person()),
        "record": tuple(_record()),
    }


def catalogue() -> tuple[Feature, ...]:
    """Return all features in contract order."""
    return tuple(feature for block in blocks().values() for feature in block)


def catalogue_table() -> str:
    """Return the catalogue as a Markdown table, one line per feature."""
    head = "| feature | unit | group | formula | source | missing if | max age |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    for f in catalogue():
        age = "" if f.max_age_h is None else _age(f.max_age_h)
        codes = f" ({', '.join(f'{i} {c}' for i, c in enumerate(f.categories))})"
        formula = f.formula + (codes if f.categories else "")
        cells = (f"`{f.name}`", f.unit, f.group, formula, f.source, f.null_rule, age)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _age(hours: float) -> str:
    return f"{hours / _DAY_H:g} d" if hours % _DAY_H == 0 else f"{hours:g} h"
