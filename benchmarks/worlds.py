"""How a method does on worlds: populations by other equations, each with the truth beside it.

    python -m benchmarks.worlds [--worlds NAME …] [--methods NAME …] [--shared DIR] [--out FILE]

Learns from a world's training athletes and answers about its test athletes at the end of each
session, once with the tests that these have done themselves and once without. Worlds: two of our
own (`benchmarks.populations`), `nmr_ml.simulator`, and those that lie in a folder of cohorts, as
``NAME/train``, ``NAME/test``, ``NAME/train_truth.parquet`` and ``NAME/test_truth.parquet``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks.judging import judge
from benchmarks.populations.skipped_tests import skipped_tests
from benchmarks.populations.weekly_match import weekly_match
from benchmarks.world_methods import METHODS
from nmr_ml.cohort.reader import canonical_cohort, read_cohort
from nmr_ml.errors import NmrError
from nmr_ml.simulator import simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.judging import Judged
    from benchmarks.world_methods import Method
    from nmr_ml.cohort.cohort import Cohort


SHARED = Path(__file__).parents[1].parent / "shared" / "worlds"
SHARED_WORLDS = ("W1", "W3", "W5")
OWN_WORLDS = {"weekly_match": weekly_match, "skipped_tests": skipped_tests}
SIMULATOR = "simulator"
WORLDS = (*SHARED_WORLDS, SIMULATOR, *OWN_WORLDS)
#: Test athletes come from a seed so much further on: no cohort shares a stream with another.
TEST_SEED_SHIFT = 500_000


@dataclass(frozen=True, slots=True)
class Size:
    """How large a world is made, and from which seed."""

    athletes: int
    test_athletes: int
    days: int
    seed: int


@dataclass(frozen=True, slots=True)
class Side:
    """A cohort and its truth."""

    cohort: Cohort
    truth: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table."""

    world: str
    method: str
    component: str
    own_tests: bool
    judged: Judged
    train_cpu_s: float
    score_cpu_s: float


def main() -> None:
    """Run what the command line asks for and print the table as it grows."""
    asked = _arguments()
    size = Size(asked.athletes, asked.test_athletes, asked.days, asked.seed)
    print(HEAD, flush=True)
    lines = []
    for world in asked.worlds:
        if world in SHARED_WORLDS and not (asked.shared / world).is_dir():
            _tell(f"{world} is left out: there is no folder {asked.shared / world}.")
            continue
        train, test = sides(world, size, asked.shared)
        for name in asked.methods:
            for line in _lines(world, name, train, test):
                lines.append(line)
                print(row(line), flush=True)
    if asked.out is not None:
        asked.out.write_text(json.dumps([asdict(line) for line in lines], indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=WORLDS, metavar="NAME",
                        help=", ".join(WORLDS))  # fmt: skip
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=["today"])
    parser.add_argument("--shared", type=Path, default=SHARED, metavar="DIR",
                        help=f"folder of the worlds {', '.join(SHARED_WORLDS)}")  # fmt: skip
    parser.add_argument("--athletes", type=int, default=150)
    parser.add_argument("--test-athletes", type=int, default=80)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--seed", type=int, default=9301)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    return parser.parse_args()


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def sides(world: str, size: Size, shared: Path) -> tuple[Side, Side]:
    """Return the training and the test side of a world."""
    if world in SHARED_WORLDS:
        return _read(shared / world, "train"), _read(shared / world, "test")
    make = _simulated if world == SIMULATOR else _own(world)
    return (
        make(size.athletes, size.days, size.seed),
        make(size.test_athletes, size.days, size.seed + TEST_SEED_SHIFT),
    )


def _read(folder: Path, part: str) -> Side:
    return Side(read_cohort(folder / part), pd.read_parquet(folder / f"{part}_truth.parquet"))


def _own(world: str) -> Callable[[int, int, int], Side]:
    def make(athletes: int, days: int, seed: int) -> Side:
        population = OWN_WORLDS[world](athletes, days, seed)
        return Side(population.cohort(), population.truth)

    return make


def _simulated(athletes: int, days: int, seed: int) -> Side:
    """Return athletes of the simulator, whose truth has no deficits and the kinds of the record.

    The second cohort has the names of the first one's athletes and teams, but other people in
    them, so teams are left out of both.
    """
    made = simulate(athletes=athletes, days=days, seed=seed)
    tables = {**made.tables, "athletes": made.tables["athletes"].drop(columns="team")}
    cohort, _ = canonical_cohort(made.name, made.timezone, tables, now=datetime.now(UTC))
    sessions = cohort["sessions"].set_index("session_id")
    kind = sessions["modality"] + " " + sessions["kind"]
    truth = made.truth[made.truth["episode_id"].isin(kind.index)]
    return Side(cohort, truth.assign(arch=truth["episode_id"].map(kind)))


def without_tests(cohort: Cohort) -> Cohort:
    """Return `cohort` as of athletes who have never been tested."""
    return replace(cohort, tables={**cohort.tables, "tests": cohort["tests"].iloc[:0]})


def _lines(world: str, name: str, train: Side, test: Side) -> Iterator[Line]:
    """Yield the rows of a method, or tell why there are none."""
    try:
        yield from compare(world, name, METHODS[name], train, test)
    except (NmrError, ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
        _tell(f"{name} on {world} has failed: {type(error).__name__}: {error}")


def compare(world: str, name: str, method: Method, train: Side, test: Side) -> Iterator[Line]:
    """Train once, ask with and without the test athletes' own tests, and judge each component."""
    truths = test.truth.groupby("component")["delta"].first()
    deltas = {str(component): float(delta) for component, delta in truths.items()}
    started = time.process_time()
    answer = method(train.cohort, deltas)
    trained_s = time.process_time() - started
    for own_tests in (True, False):
        asked = test.cohort if own_tests else without_tests(test.cohort)
        started = time.process_time()
        frame = answer(asked)
        scored_s = time.process_time() - started
        for component in deltas:
            judged = judge(frame, test.truth, train.truth, component)
            yield Line(world, name, component, own_tests, judged, trained_s, scored_s)


COLUMNS = (
    "world", "method", "component", "own tests", "n", "answered", "gain", "CRPS gain", "bias h",
    "in 80 %", "worst kind", "worst confidence", "first week", "width h", "deficit 24 h",
    "deficit 48 h", "train CPU s", "score CPU s", "abstained",
)  # fmt: skip
HEAD = f"| {' | '.join(COLUMNS)} |\n|{'---|' * 4}{'---:|' * (len(COLUMNS) - 5)}---|"


def row(line: Line) -> str:
    """Return a row of the table as Markdown; times are of all components together."""
    j = line.judged
    bias = j.deficit_bias or {}
    cells = (
        line.world, line.method, line.component, "yes" if line.own_tests else "no", f"{j.n:,}",
        f"{j.answered:.3f}", _number(j.gain, "+.3f"), _number(j.crps_gain, "+.3f"),
        _number(j.bias_h, "+.1f"), _number(j.covered, ".3f"), _worst(j.worst_kind),
        _worst(j.worst_confidence), _number(j.first_covered, ".3f"), _number(j.width_h, ".0f"),
        _number(bias.get(24, np.nan), "+.2f"), _number(bias.get(48, np.nan), "+.2f"),
        f"{line.train_cpu_s:.1f}", f"{line.score_cpu_s:.1f}", _counts(j.reasons),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _number(value: float, form: str) -> str:
    return "" if np.isnan(value) else f"{value:{form}}"


def _worst(found: tuple[str, float]) -> str:
    return f"{_number(found[1], '.2f')} {found[0]}".strip()


def _counts(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()))


if __name__ == "__main__":
    main()
