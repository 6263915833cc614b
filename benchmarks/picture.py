"""One real athlete's load, sleep and recovery over six weeks, with the features over them.

    python -m benchmarks.picture DATA [OUT.png]

DATA holds the folder ``pmdata``. The features are asked for every day at noon, as they were known
then. The picture goes to ``docs/athlete.png`` unless OUT.png says otherwise.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks.real import real_cohort
from nmr_ml.features.contract import feature_contract
from nmr_ml.features.engine import build_features
from nmr_ml.history.history import build_history
from nmr_ml.history.queries import Queries
from nmr_ml.recovery_tests import COMPONENTS, shipped_testspecs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

    from nmr_ml.cohort.cohort import Cohort

PAGE = Path(__file__).parents[1] / "docs" / "athlete.png"
ATHLETE = "p07"  # the longest record of sessions, nights and questionnaires together
DAYS = 42
# Okabe and Ito's colours, which colour-blind people tell apart.
GREY, BLUE, ORANGE, RED, GREEN, BLACK = (
    "#c4c8cc", "#0072B2", "#E69F00", "#D55E00", "#009E73", "#222222",
)  # fmt: skip
STYLE: dict[RcKeyType, Any] = {
    "font.family": "DejaVu Sans", "font.size": 9.5, "axes.spines.top": False,
    "axes.edgecolor": "#888888", "axes.titlesize": 10.5, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "legend.frameon": False, "legend.fontsize": 9,
    "xtick.color": "#444444", "ytick.color": "#444444",
}  # fmt: skip


class Record(NamedTuple):
    """What is drawn, by local day or moment."""

    sessions: pd.DataFrame
    nights: pd.DataFrame
    tests: pd.DataFrame
    features: pd.DataFrame


def main(data: Path, out: Path) -> None:
    """Draw the picture."""
    record = record_of(real_cohort("pmdata", data))
    with mpl.rc_context(STYLE):
        figure = draw(record)
        figure.savefig(out, dpi=110, metadata={"Software": None})
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB")


def record_of(cohort: Cohort) -> Record:
    """Return the six weeks of `ATHLETE` with the most nights, questionnaires and sessions."""
    zone = cohort.timezone

    def own(table: str, at: str) -> pd.DataFrame:
        rows = cohort[table][cohort[table]["athlete_id"] == ATHLETE].sort_values(at)
        local = rows[at].dt.tz_convert(zone).dt.tz_localize(None)
        return rows.assign(local=local, day=local.dt.normalize())

    sessions, nights, tests = own("sessions", "ended_at"), own("sleep", "wake_at"), own(
        "tests", "measured_at"
    )  # fmt: skip
    nights = nights[nights["wake_at"] - nights["onset_at"] >= pd.Timedelta(hours=3)]  # no naps
    counts = pd.concat([f["day"].drop_duplicates() for f in (sessions, nights, tests)])
    days = counts.value_counts().sort_index().asfreq("D", fill_value=0)
    # The decays need weeks of record before they say anything.
    days = days[days.index >= days.index[0] + pd.Timedelta(days=35)]
    last = days.rolling(DAYS).sum().idxmax()
    first = last - pd.Timedelta(days=DAYS - 1)
    sessions, nights, tests = (f[f["day"].between(first, last)] for f in (sessions, nights, tests))
    return Record(sessions, nights, tests, _features(cohort, pd.date_range(first, last)))


def _features(cohort: Cohort, days: pd.DatetimeIndex) -> pd.DataFrame:
    specs = shipped_testspecs()
    history = build_history(cohort, tuple(sorted(specs)))
    noon = (days + pd.Timedelta(hours=12)).tz_localize(cohort.timezone)
    as_of = noon.tz_convert("UTC").as_unit("s").asi8
    n = len(days)

    def same(value: int) -> np.ndarray:
        return np.full(n, value)

    queries = Queries(
        same(0), same(COMPONENTS.index("perceptual")), same(history.athlete_ids.index(ATHLETE)),
        same(-1), same(history.test_names.index("readiness")), as_of, as_of,
    )  # fmt: skip
    matrix = build_features(history, queries, specs)
    return pd.DataFrame(matrix, days, list(feature_contract().names))


def draw(record: Record) -> Figure:
    """Return the figure: load, sleep, deep sleep and questionnaires, one under the other."""
    figure, axes = plt.subplots(
        4,
        1,
        figsize=(10.5, 10),
        sharex=True,
        height_ratios=(1.15, 1, 1, 1.15),
        layout="constrained",
    )
    _load(axes[0], record)
    _sleep(axes[1], record, "asleep", 60.0, "Time asleep", "h", BLUE)
    _sleep(axes[2], record, "deep_first3h", 1.0, "Deep sleep in the first 3 h", "min", GREEN)
    _recovery(axes[3], record)
    days = record.features.index
    axes[3].set_xlim(days[0] - pd.Timedelta(hours=14), days[-1] + pd.Timedelta(hours=14))
    axes[3].xaxis.set_major_locator(mdates.WeekdayLocator(mdates.MO))  # type: ignore[no-untyped-call]
    axes[3].xaxis.set_major_formatter(mdates.DateFormatter("Mon %-d %b"))  # type: ignore[no-untyped-call]
    for ax in axes:
        ax.grid(axis="x", color="#e6e6e6", linewidth=0.8)
        ax.set_axisbelow(True)
    figure.suptitle(
        f"Six weeks of one athlete (PMData {ATHLETE}, {days[0].year}): what is on record, and the "
        "features as of each noon",
        x=0.01, ha="left", fontsize=12,
    )  # fmt: skip
    return figure


def _load(ax: Axes, record: Record) -> None:
    daily = record.sessions.groupby("day")["session_load_au"].sum()
    ax.bar(daily.index, daily, 0.8, color=GREY, label="session load of the day (record)")
    noon = record.features.index
    acute, chronic = (record.features[n] for n in ("acute_load_ewma7_au", "chronic_load_ewma28_au"))
    ax.plot(noon, acute, color=RED, linewidth=2, label="acute load, EWMA 7 d")
    ax.plot(noon, chronic, color=BLUE, linewidth=2, linestyle="--", label="chronic load, EWMA 28 d")
    ax.set(title="Load", ylabel="RPE × min\n(EWMA: per day)")
    ax.set_ylim(0, daily.max() * 1.05)
    _legend(ax)


def _sleep(
    ax: Axes, record: Record, what: str, per_unit: float, title: str, unit: str, color: str
) -> None:
    nights = record.nights.groupby("day")[f"{what}_min"].sum(min_count=1) / per_unit
    ax.bar(nights.index, nights, 0.8, color=GREY, label=f"on record, {unit}")
    ax.set(title=title, ylabel=unit)
    ax.set_ylim(0, nights.max() * 1.05)
    right = _right_axis(ax, "SD from own nights", color)
    z = record.features[f"last_night_{what}_z"]
    low, high = min(-4.2, z.min() * 1.1), max(4.2, z.max() * 1.1)
    tonight = np.flatnonzero(record.features["last_night_age_h"] < 24)
    right.plot(z.index, z, color=color, linewidth=1.8, marker="o", markersize=4,
               markevery=tonight.tolist(),
               label="last night, z against own 28 days (no dot: night before)")  # fmt: skip
    right.axhline(0, color=color, linewidth=0.8, linestyle=":")
    right.set_ylim(low, high)
    _legend(ax, right)


def _recovery(ax: Axes, record: Record) -> None:
    by_test = dict(tuple(record.tests.groupby("test")))
    for name, color, marker, scale in (
        ("readiness", BLACK, "o", "0-10"),
        ("soreness", ORANGE, "s", "1-5"),
    ):
        rows = by_test[name]
        ax.plot(rows["day"], rows["value"], color=color, marker=marker, markersize=4, linewidth=0.8,
                label=f"{name}, {scale}, higher is better (record)")  # fmt: skip
    ax.set(
        title="Recovery as felt",
        ylabel="questionnaire points",
        ylim=(0, 12),
        yticks=range(0, 11, 2),
    )
    right = _right_axis(ax, "points below\nrested baseline", RED)
    # The feature has the upper part of the panel, so that it does not cross the answers.
    deficit = record.features["index_deficit_last"]
    right.plot(deficit.index, deficit, color=RED, linewidth=2, label="readiness deficit")
    right.axhline(0, color=RED, linewidth=0.8, linestyle=":")
    span = max(deficit.max() - deficit.min(), 1.0)
    right.set_ylim(deficit.min() - 1.5 * span, deficit.max() + 0.15 * span)
    right.set_yticks(range(int(np.ceil(deficit.min())), int(deficit.max()) + 1))
    right.yaxis.set_label_coords(1.035, 0.78)
    _legend(ax, right)


def _right_axis(ax: Axes, label: str, color: str) -> Axes:
    right = ax.twinx()
    right.spines["right"].set_visible(True)
    right.set_ylabel(label, color=color)
    right.tick_params(axis="y", colors=color)
    return right


def _legend(*axes: Axes) -> None:
    """Put one legend for all `axes` above the first, beside its title."""
    found = [ax.get_legend_handles_labels() for ax in axes]
    handles = [handle for handles, _ in found for handle in handles]
    labels = [label for _, labels in found for label in labels]
    axes[0].legend(handles, labels, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3,
                   borderaxespad=0.2, columnspacing=1.5, handlelength=1.8)  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else PAGE)
