"""Which features real athletes have: the share of values that are there, by data set.

    python -m benchmarks.coverage DATA [OUT.md]

DATA holds the folders ``soccermon`` and ``pmdata``. The page goes to ``docs/coverage.md`` unless
OUT.md says otherwise.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmarks.real import real_cohort
from nmr_ml.cohort.tables import TABLES
from nmr_ml.features.catalogue import GROUPS
from nmr_ml.features.contract import feature_contract
from nmr_ml.history.episodes import EXERTION
from nmr_ml.recovery_tests import shipped_testspecs
from training.data.training_set import training_frame

if TYPE_CHECKING:
    from nmr_ml.cohort.cohort import Cohort

PAGE = Path(__file__).parents[1] / "docs" / "coverage.md"
SETS = {"soccermon": "SoccerMon", "pmdata": "PMData"}
#: Values that differ by less than this are one value.
SAME = 1e-9
HEAD = (
    "# Coverage on real data",
    "",
    "Share of exertion episodes at landmark 0 (the end of the session) in which a feature has a",
    "value. The component is the one the set has tests of, `perceptual`. Renew this page with",
    "`python -m benchmarks.coverage DATA`, where DATA holds the folders `soccermon` and `pmdata`.",
    "",
)
SINCE = (
    "No night lies between a session and its own end, so these are missing at landmark 0. Of the",
    "episodes that are still open 24 h after the session so many have them:",
)
#: Columns that are always there or no data of the athlete.
NOT_DATA = ("_id", "_at", "time_precision", "device", "below_loq")


def main(data: Path, out: Path) -> None:
    """Write the page."""
    cohorts = {label: real_cohort(source, data) for source, label in SETS.items()}
    frames = {label: exertions(cohort, 0.0) for label, cohort in cohorts.items()}
    later = {label: exertions(cohort, 24.0) for label, cohort in cohorts.items()}
    out.write_text(page(cohorts, frames, later))
    print(f"{out}: {', '.join(f'{len(f):,} episodes of {n}' for n, f in frames.items())}")


def exertions(cohort: Cohort, landmark_h: float) -> pd.DataFrame:
    """Return the features of every exertion at a landmark, for the one component tested."""
    frame = training_frame(cohort, shipped_testspecs(), (landmark_h,))
    frame = frame[(frame["kind"] == EXERTION) & (frame["landmark_h"] == landmark_h)]
    tested = frame.loc[frame["y_index_test"].notna(), "component"].unique()
    frame = frame[frame["component"] == tested[0]]
    features: pd.DataFrame = frame[list(feature_contract().names)]
    return features


def page(
    cohorts: dict[str, Cohort], frames: dict[str, pd.DataFrame], later: dict[str, pd.DataFrame]
) -> str:
    """Return the page as Markdown; `frames` are of landmark 0, `later` of landmark 24."""
    shares = _shares(frames)
    contract = feature_contract()
    groups = pd.Series(contract.groups, index=list(contract.names))
    empty = shares.max(axis=1) == 0
    lines = [*HEAD, _sizes(cohorts, frames), "", f"Contract hash: `{contract.hash[:12]}`.", ""]
    lines += ["## By group", "", *_by_group(shares, groups)]
    for group in GROUPS:
        told = shares[(groups == group) & ~empty]
        if len(told):
            lines += ["", f"## {group}", "", *_table(told)]
    since = _shares(later)[groups.index.str.startswith("nights_since")]
    lines += ["", "## The nights after the session", "", *SINCE, "", *_table(since)]
    lines += ["", "## Without a value at landmark 0", "", *_without(cohorts, shares, groups)]
    lines += ["", "## With one value throughout", "", *_constant(frames)]
    return "\n".join(lines) + "\n"


def _shares(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.DataFrame({label: frame.notna().mean() for label, frame in frames.items()})


def _constant(frames: dict[str, pd.DataFrame]) -> list[str]:
    """List the features that are there and say nothing, because they never differ."""
    lines = ["They have values, and no information within the set.", ""]
    for label, frame in frames.items():
        values = frame.max().round(9) + 0.0
        same = values[(frame.max() - frame.min()).abs() < SAME]
        lines.append(f"- {label}: {', '.join(f'`{n}` ({v:.3g})' for n, v in same.items())}")
    return lines


def _sizes(cohorts: dict[str, Cohort], frames: dict[str, pd.DataFrame]) -> str:
    return " ".join(
        f"{label}: {len(frame):,} episodes of {cohorts[label]['sessions']['athlete_id'].nunique()} "
        "people."
        for label, frame in frames.items()
    )


def _by_group(shares: pd.DataFrame, groups: pd.Series) -> list[str]:
    head = "".join(f" {label}: with data | mean share of those |" for label in shares)
    lines = [f"| group | features |{head}", "|---|---:|" + "---:|---:|" * shares.shape[1]]
    for group in GROUPS:
        part = shares[groups == group]
        cells = []
        for label in part:
            column = part[label]
            some = column[column > 0]
            cells += [str(len(some)), f"{some.mean():.0%}" if len(some) else ""]
        lines.append(f"| {group} | {len(part)} | {' | '.join(cells)} |")
    return lines


def _table(shares: pd.DataFrame) -> list[str]:
    lines = [f"| feature | {' | '.join(map(str, shares))} |", "|---|" + "---:|" * shares.shape[1]]
    for name, row in shares.iterrows():
        lines.append(f"| `{name}` | {' | '.join(_percent(share) for share in row)} |")
    return lines


def _percent(share: float) -> str:
    if share == 0:
        return "none"
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def _without(cohorts: dict[str, Cohort], shares: pd.DataFrame, groups: pd.Series) -> list[str]:
    lines = ["In neither set:", ""]
    nowhere = shares.index[shares.max(axis=1) == 0]
    for group in GROUPS:
        names = [f"`{name}`" for name in nowhere if groups[name] == group]
        if names:
            lines.append(f"- {group} ({len(names)}): {', '.join(names)}")
    for label in shares:
        only = shares.index[(shares[label] == 0) & (shares.max(axis=1) > 0)]
        named = ", ".join(f"`{name}`" for name in only) or "none"
        lines += ["", f"In the other set only, not in {label}: {named}."]
    lines += ["", "Why: a feature can only come from columns that the set fills."]
    for label, cohort in cohorts.items():
        lines += ["", f"{label} fills {'; '.join(_filled(cohort))}."]
    return lines


def _filled(cohort: Cohort) -> list[str]:
    told = []
    for table in TABLES:
        frame = cohort.tables.get(table)
        if frame is None or frame.empty or table == "sleep_epochs":
            continue
        filled = [str(c) for c in frame if frame[c].notna().any()]
        names = [c for c in filled if not c.endswith(NOT_DATA)]
        told.append(f"{table} ({len(frame):,} rows): {', '.join(names)}")
    return told


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else PAGE)
