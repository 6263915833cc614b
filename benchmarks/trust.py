"""How far the model's intervals and updates can be trusted, against the simulator's truth.

    python -m benchmarks.trust [--seed 9003] [--cache DIR] [--small] [--out FILE]

Coverage of the 80 % intervals on new athletes: overall and by group, with the configured error of
the test wrong by a factor of 1.5, with a recovery that dips twice, and on a cohort of other sports
that recovers 1.3 times as slowly. Then how much one test on the morning after is worth, beside what
it is worth to somebody who knows the simulator (`benchmarks.rivals.redraw`).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.rivals.method import Training
from benchmarks.rivals.ours import EVERYTHING, NOTHING, adapted, learn, quantiles
from benchmarks.rivals.problem import (
    INDEX_TEST,
    TEST_SEED_SHIFT,
    Origin,
    make_side,
    specs_for,
    strangers,
    with_errors,
)
from benchmarks.rivals.redraw import Asked, Redrawn, redraw
from benchmarks.rivals.scores import (
    crps,
    difference,
    quantiles_of_draws,
    scores,
)
from nmr_ml.numeric.arrays import owners
from training.fitting.held_out import earlier_episodes

if TYPE_CHECKING:
    from benchmarks.rivals.problem import Side
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.component.model import ComponentModel
    from nmr_ml.numeric.arrays import Floats, Ints


TEST_ERROR_PCT = 2.5
WRONG = (1.5, 1 / 1.5)
#: Other sports, and every slow state 1.3 times as slow.
SHIFT = (
    "teams.sports=[rugby, resistance, running, rugby, basketball]",
    "dynamics.c_half_life=26", "dynamics.d_rate=0.01485", "dynamics.i_half_life=26",
    "dynamics.s_half_life=18.2", "dynamics.g_half_life=19.5",
)  # fmt: skip
LEAST_ATHLETES = 30
LABELLED = 10
#: Labelled episodes of an athlete that are known.
FEW, MANY = 5, 15
HISTORY = {
    "none": NOTHING,
    f"first {FEW}": slice(FEW), f"first {MANY}": slice(MANY),
    f"latest {FEW}": slice(-FEW, None), f"latest {MANY}": slice(-MANY, None),
}  # fmt: skip
#: The morning test lies within these hours of the clock start.
MORNING_H = (18.0, 30.0)
EPISODES, DRAWS = 150, 500
MODEL, SAME_READING, KNOWN_LEVEL = (
    "model", "simulator, same reading", "simulator, rested level known"
)  # fmt: skip


def main() -> None:
    """Run what the command line asks for, print the tables and write them."""
    asked = _arguments()
    sizes = (60, 30) if asked.small else (asked.athletes, asked.test_athletes)
    document = run(asked.seed, sizes, asked.days, asked.cache, small=asked.small)
    print(report(document))
    if asked.out is not None:
        asked.out.write_text(json.dumps(document, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=9003)
    parser.add_argument("--athletes", type=int, default=300)
    parser.add_argument("--test-athletes", type=int, default=200)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--small", action="store_true", help="60 athletes, 30 new ones")
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    return parser.parse_args()


def run(
    seed: int, sizes: tuple[int, int], days: int, cache: Path, *, small: bool = False
) -> dict[str, Any]:
    """Fit the model to each cohort that is asked for and score it on new athletes."""
    delta = specs_for(TEST_ERROR_PCT)[INDEX_TEST].delta

    def cohorts(settings: tuple[str, ...] = ()) -> tuple[Side, Side, Origin]:
        train = Origin(sizes[0], days, seed, TEST_ERROR_PCT, settings=settings)
        test = replace(train, athletes=sizes[1], seed=seed + TEST_SEED_SHIFT)
        return _labelled(make_side(train, cache)), strangers(make_side(test, cache)), test

    train, test, origin = cohorts()
    usual = learn(Training(train, delta))
    rows = group_rows(usual, test, delta, least=5 if small else LEAST_ATHLETES)
    for factor in WRONG:
        model = learn(Training(with_errors(train, factor), delta))
        rows[f"configured error x {factor:.2f}"] = told(model, with_errors(test, factor), delta)
    dip_train, dip_test, _ = cohorts(("second_dip=true",))
    rows["second dip"] = told(learn(Training(dip_train, delta)), dip_test, delta)
    rows |= shifted_rows(usual, cohorts(SHIFT)[1], delta)
    count = (EPISODES, DRAWS) if not small else (20, 100)
    return {
        "coverage": rows,
        "history": history(usual, test, delta),
        "morning_test": morning_test(usual, test, origin, delta, *count),
    }


def group_rows(
    model: ComponentModel, side: Side, delta: float, *, least: int
) -> dict[str, dict[str, float]]:
    """Score all episodes, without and with the athlete's past, and groups of `least` athletes."""
    found = quantiles(model, side, delta, past=EVERYTHING)
    rows = {
        "no past known": told(model, side, delta, past=NOTHING),
        "overall": _scored(found, side),
    }
    facts = side.facts
    groups = {"sex": facts.sex, "modality": side.data.modality, "confidence": facts.confidence}
    for name, group in groups.items():
        for word in sorted(set(group.tolist())):
            some = np.flatnonzero(group == word)
            if len(set(side.data.athlete[some])) >= least:
                rows[f"{name}: {word}"] = _scored(found[some], side.take(some))
    return rows


def shifted_rows(model: ComponentModel, side: Side, delta: float) -> dict[str, dict[str, float]]:
    """Score a cohort that is one club unlike any in training, `LABELLED` athletes of it labelled.

    The same new athletes are asked about each time: as strangers, with what the labelled ones say
    of the club, and with their own earlier episodes as well.
    """
    club = np.full(len(side), "club", dtype=object)
    side = replace(side, data=replace(side.data, team=club))
    names = sorted(set(side.data.athlete.tolist()))
    known = np.isin(side.data.athlete, names[:LABELLED])
    labelled, asked = side.take(np.flatnonzero(known)), side.take(np.flatnonzero(~known))
    of_club = adapted(model, _labelled(labelled))
    return {
        "shifted, nobody labelled": told(model, asked, delta, past=NOTHING),
        f"shifted, {LABELLED} others labelled": told(of_club, asked, delta, past=NOTHING),
        f"shifted, {LABELLED} others and own past": told(of_club, asked, delta),
    }


def _labelled(side: Side) -> Side:
    return side.take(np.flatnonzero(side.labelled))


def told(
    model: ComponentModel, side: Side, delta: float, *, past: slice = EVERYTHING
) -> dict[str, float]:
    """Score the answers at the clock start; `past` as in `benchmarks.rivals.ours.quantiles`."""
    return _scored(quantiles(model, side, delta, past=past), side)


def _scored(found: Floats, side: Side) -> dict[str, float]:
    athletes = float(len(set(side.data.athlete)))
    return scores(found, side.truth_h) | {"athletes": athletes, "episodes": float(len(side))}


def history(model: ComponentModel, side: Side, delta: float) -> dict[str, dict[str, float]]:
    """Score episodes with `MANY` labelled ones before them, by which of these are known.

    Features hold what tests of the last days showed, whatever is known here: the latest episodes
    bring less beside them than the first ones do.
    """
    enough = np.flatnonzero(np.diff(earlier_episodes(side.data)[0]) >= MANY)
    some = side.take(enough)
    return {
        name: _scored(quantiles(model, side, delta, past=past)[enough], some)
        for name, past in HISTORY.items()
    }


def morning_test(
    model: ComponentModel, side: Side, origin: Origin, delta: float, episodes: int, draws: int
) -> dict[str, Any]:
    """Compare what the first morning test tells the model with what it tells the simulator.

    Only episodes whose true recovery time is above 24 h, with no session before the test. The
    simulator is asked twice: once it sees the same reading as the model, with the error of the
    baseline in it, and once it knows the rested level, the hour's effect and that of short sleep.
    """
    chosen, tests = with_morning_test(side)
    picked = np.random.default_rng(0).permutation(chosen.size)[:episodes]
    some, tests = side.take(chosen[picked]), tests[picked]
    seen = only(side.data.followed, chosen[picked], tests)
    asked = asked_of(some, seen)
    drawn = redraw(origin, asked, draws=draws, seed=1)
    if not np.allclose(drawn.true_h, some.truth_h, atol=0.01):
        raise RuntimeError("the episodes drawn anew are not those of the cohort")
    read = model.measurement.read(seen)
    same = _weights(drawn, read.deficit, np.sqrt(read.error**2 + read.shared_error**2))
    known = _weights(drawn, drawn.reading, seen.error)
    before = quantiles_of_draws(drawn.recovery_h)
    answers = {
        MODEL: (
            quantiles(model, some, delta),
            quantiles(model, some, delta, seen=seen),
        ),
        SAME_READING: (before, quantiles_of_draws(drawn.recovery_h, same)),
        KNOWN_LEVEL: (before, quantiles_of_draws(drawn.recovery_h, known)),
    }
    effective = known.sum(axis=1) ** 2 / (known**2).sum(axis=1)
    return _gains(answers, some) | {"effective_draws": float(np.median(effective))}


def asked_of(side: Side, seen: Followed) -> list[Asked]:
    """Return what to ask of the simulator: `seen` holds one test for each episode of `side`."""
    value_cm = seen.baselines.mean * (1.0 - seen.deficit / 100.0)
    return [
        Asked(int(name.rpartition("/a")[2]), episode, float(hour), float(value))
        for name, episode, hour, value in zip(
            side.data.athlete, side.data.episode_id, seen.hours, value_cm, strict=True
        )
    ]


def _weights(drawn: Redrawn, reading: Floats, error: Floats) -> Floats:
    """Return the likelihood of each reading under each draw, relative to the highest."""
    z = (reading[:, None] - drawn.deficit) / error[:, None]
    return np.asarray(np.exp(-0.5 * (z**2 - (z**2).min(axis=1, keepdims=True))))


def _gains(answers: dict[str, tuple[Floats, Floats]], side: Side) -> dict[str, Any]:
    found: dict[str, Any] = {"episodes": len(side), "who": {}}
    for name, (before, after) in answers.items():
        without, with_test = crps(before, side.truth_h), crps(after, side.truth_h)
        gain = difference(without, with_test, side.data.athlete)
        found["who"][name] = {
            "crps_before_h": float(without.mean()), "crps_after_h": float(with_test.mean()),
            "gain_h": gain.value, "gain_lower_h": gain.lower, "gain_upper_h": gain.upper,
            "coverage_before": scores(before, side.truth_h)["coverage_80"],
            "coverage_after": scores(after, side.truth_h)["coverage_80"],
        }  # fmt: skip
    return found


def with_morning_test(side: Side) -> tuple[Ints, Ints]:
    """Return the episodes that `morning_test` may look at, and their test."""
    followed = side.data.followed
    owner = owners(followed.offsets)
    inside = (followed.hours >= MORNING_H[0]) & (followed.hours <= MORNING_H[1])
    first = np.full(len(side), -1)
    tests = np.flatnonzero(inside)[::-1]
    first[owner[tests]] = tests
    next_h = next_session_h(side)
    good = (first >= 0) & (side.truth_h > 24.0)
    good[good] &= followed.hours[first[good]] < next_h[good]
    return np.flatnonzero(good), first[good]


def next_session_h(side: Side) -> Floats:
    """Return the hours from each clock start to the next one of the athlete, inf without one."""
    start_s, athlete = side.data.clock_start_s, side.data.athlete
    order = np.lexsort((start_s, athlete.astype(str)))
    same = athlete[order][1:] == athlete[order][:-1]
    found = np.full(len(side), np.inf)
    found[order[:-1]] = np.where(same, np.diff(start_s[order]) / 3600.0, np.inf)
    return found


def only(followed: Followed, episodes: Ints, tests: Ints) -> Followed:
    """Return one test for each of `episodes`."""
    some = followed.take(episodes)
    return replace(
        some, offsets=np.arange(episodes.size + 1), hours=followed.hours[tests],
        deficit=followed.deficit[tests], error=followed.error[tests],
    )  # fmt: skip


def _history_table(by_known: dict[str, dict[str, float]]) -> list[str]:
    """Return lines with the share of the CRPS gain of `MANY` episodes that `FEW` bring."""
    none = by_known["none"]["crps_h"]
    lines = ["", "| labelled episodes known | CRPS h | MAE h | in 80 % | share of the CRPS gain |"]
    lines += ["|---|" + "---:|" * 4]
    for known, m in by_known.items():
        most = by_known[f"{known.split()[0]} {MANY}"]["crps_h"] if known != "none" else 0.0
        share = (none - m["crps_h"]) / (none - most)
        lines.append(
            f"| {known} | {m['crps_h']:.2f} | {m['mae_h']:.2f} | {m['coverage_80']:.3f} | "
            f"{share:.2f} |"
        )
    return lines


def report(document: dict[str, Any]) -> str:
    """Return the tables as Markdown."""
    lines = ["| new athletes | athletes | episodes | in 80 % | width h | CRPS h | MAE h | bias h |",
             "|---|" + "---:|" * 7]  # fmt: skip
    for name, m in document["coverage"].items():
        lines.append(
            f"| {name} | {m['athletes']:.0f} | {m['episodes']:,.0f} | {m['coverage_80']:.3f} | "
            f"{m['width_80_h']:.0f} | {m['crps_h']:.2f} | {m['mae_h']:.2f} | {m['bias_h']:+.1f} |"
        )
    lines += _history_table(document["history"])
    found = document["morning_test"]
    lines += ["", f"one morning test, {found['episodes']} episodes with T > 24 h", ""]
    lines += ["| who | CRPS h | with the test | gain h (95 %) | in 80 % | with the test | share |"]
    lines += ["|---|" + "---:|" * 6]
    of_model = found["who"][MODEL]["gain_h"]
    for who, m in found["who"].items():
        lines.append(
            f"| {who} | {m['crps_before_h']:.2f} | {m['crps_after_h']:.2f} | {m['gain_h']:.2f} "
            f"({m['gain_lower_h']:.2f}, {m['gain_upper_h']:.2f}) | {m['coverage_before']:.3f} | "
            f"{m['coverage_after']:.3f} | {of_model / m['gain_h']:.2f} |"
        )
    lines.append(f"\neffective draws, median: {found['effective_draws']:.0f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
