"""Scores as a person reads them: short tables, the model first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from nmr_ml.runtime import console
from training.baselines.curves import DECAY, LINEAR, LOOKUP, MODALITY, OVERALL, PERSISTENCE
from training.fitting.protocols import EB_L2
from training.scoring.bootstrap import MODEL
from training.scoring.forecast_scores import LEAST_SCORED_ATHLETES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Json = dict[str, Any]
#: How methods are called in tables.
METHODS = {
    MODEL: "model",
    MODALITY: "median by modality",
    OVERALL: "overall median",
    LOOKUP: "load lookup",
    DECAY: "Banister-like decay",
    LINEAR: "linear",
    EB_L2: "trees on EB labels",
    PERSISTENCE: "last test persists",
}
LEGEND = (
    "Brier (of reading recovered at 24, 48, 72 h): smaller is better. log score: larger is\n"
    "better. 80 %: readings inside the 80 % predictive interval. PIT bias, spread: 0 is\n"
    "right; spread above 0 is too narrow, below too wide. In brackets: 95 % by resampling\n"
    "athletes."
)


def show_methods(title: str, component: str, brier: Json, scores: Json) -> None:
    """Show every method's scores of one component; the rest of `scores` as in the card."""
    console.say(
        f"{component}, {title}: {scores['athletes_n']:,} athletes, {scores['tests_n']:,} tests, "
        f"{brier['tests_n']:,} of them at 24, 48 or 72 h."
    )
    table = _table("", "Brier", "model - it", "log\nscore", "80 %", "PIT\nbias", "PIT\nspread")
    for method, label in METHODS.items():
        if method in scores["log_score"]["score"]:
            gap = brier["difference"].get(method)
            table.add_row(
                label,
                _number(brier["score"].get(method), ".4f"),
                _interval(gap, "+.3f") if gap else "",
                *(_number(scores[name]["score"][method]["value"], form) for name, form in
                  (("log_score", ".3f"), ("coverage_80", ".3f"), ("pit_bias", "+.3f"),
                   ("pit_spread", "+.3f"))),
            )  # fmt: skip
    console.show(table)


def show_components(title: str, rows: Iterable[tuple[str, Json, Json]]) -> None:
    """Show a line for each (component, Brier, other scores): the model and the median."""
    console.say(f"{title}:")
    table = _table("", "athletes", "tests", "Brier", "median by\nmodality", "difference", "80 %")
    for name, brier, scores in rows:
        gap = brier["difference"].get(MODALITY)
        table.add_row(
            name, f"{brier['athletes_n']:,}", f"{brier['tests_n']:,}",
            _number(brier["score"].get(MODEL), ".4f"), _number(brier["score"].get(MODALITY), ".4f"),
            _interval(gap, "+.3f") if gap else "-",
            _number(scores["coverage_80"]["score"][MODEL]["value"], ".3f"),
        )  # fmt: skip
    console.show(table)


def show_groups(components: Mapping[str, Json]) -> None:
    """Show by group how the model does: gain in Brier, coverage of tests and of true times."""
    told = {name: scores for name, scores in components.items() if "groups" in scores}
    if not told:
        return
    simulated = any("truth" in scores for scores in told.values())
    true_times = ", then of true times" if simulated else ""
    console.say(
        "By group: Brier of the model less that of the median by modality, then share of\n"
        f"tests inside the 80 % interval{true_times}; of fewer than {LEAST_SCORED_ATHLETES}\n"
        "athletes only their number:"
    )
    table = _table("", *told)
    for split, names in _group_names(told.values()).items():
        for name in names:
            cells = (_group_cell(scores, split, name) for scores in told.values())
            table.add_row(f"{split}: {name}", *cells)
        table.add_section()
    console.show(table)


def show_truth(truth: Mapping[str, Json]) -> None:
    """Show errors of recovery times against simulated ones."""
    console.say("Recovery time against simulated truth (number of episodes):")
    table = _table("", "MAE h", "bias h", "CRPS h", "model - it, CRPS h", "80 %", "C")
    for name, methods in truth.items():
        table.add_row(f"{name} ({methods['episodes']['n']:,.0f})")
        for method, label in METHODS.items():
            if s := methods.get(method):
                gap = methods["difference"]["crps_h"].get(method)
                table.add_row(
                    f"  {label}", f"{s['mae_h']:.1f}", f"{s['bias_h']:+.1f}", f"{s['crps_h']:.1f}",
                    _interval(gap, "+.1f") if gap else "", f"{s['coverage_80']:.3f}",
                    _number(s.get("c_index"), ".3f"),
                )  # fmt: skip
        table.add_section()
    console.show(table)


def _group_names(components: Iterable[Json]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for scores in components:
        for split, groups in scores["groups"].items():
            found.setdefault(split, set()).update(groups)
    return {split: sorted(names) for split, names in found.items()}


def show_credit(components: Mapping[str, Json]) -> None:
    """Say which groups of features make the tests of held-out athletes more likely."""
    for name, groups in components.items():
        earned = [f"{g} {c['gain']['value']:+.3f}" for g, c in groups.items() if c["earned"]]
        none = [g for g, c in groups.items() if not c["earned"]]
        console.say(
            f"{name}: credit on held-out athletes (nats per episode) for "
            f"{', '.join(earned) or 'nothing'}; none shown for {', '.join(none) or 'nothing'}."
        )


def _group_cell(scores: Json, split: str, name: str) -> str:
    group = scores["groups"].get(split, {}).get(name)
    if group is None:
        return "-"
    if group["too_small"]:
        return f"{group['athletes_n']} athlete{'' if group['athletes_n'] == 1 else 's'}"
    gap = group["brier"]["difference"].get(MODALITY, {}).get("value")
    parts = [_number(gap, "+.3f"), _share(group["coverage_80"]["score"][MODEL])]
    times = scores.get("truth", {}).get("groups", {}).get(split, {}).get(name, {})
    if "coverage_80" in times:
        parts.append(_share(times["coverage_80"]))
    return " ".join(parts)


def _table(*headings: str) -> Table:
    # Narrow enough for 80 columns.
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False)
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="right" if i else "left")
    return table


def _share(estimate: Json) -> str:
    return f"{100 * estimate['value']:.0f}%"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _interval(estimate: Json, form: str) -> str:
    """Return a value with its interval; ends that too few athletes leave unknown are left out."""
    value = format(estimate["value"], form)
    if estimate["lower"] is None:
        return value
    return f"{value} [{format(estimate['lower'], form)}, {format(estimate['upper'], form)}]"
