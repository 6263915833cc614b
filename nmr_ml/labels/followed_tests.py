"""Labels are the tests: what was measured after an episode, with its error, never a threshold.

An episode's label for a component holds the tests of the follow-up as deficits from the rested
baseline, the typical error of each, the error they share through the baseline, and why the
follow-up ended. Whether and when the athlete was recovered is for the model's likelihood to say
(`nmr_ml.models.curve.likelihood`): a jump test's error is as large as the deficit it should detect,
so an interval or a midpoint made here would be wrong more often than right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nmr_ml.history.episodes import HORIZON_S, next_loading_s
from nmr_ml.history.local_time import NEVER_S
from nmr_ml.history.rested_baseline import Baselines, daytime_of, rested_baselines, test_errors
from nmr_ml.labels.family_tests import FamilyTests
from nmr_ml.numeric.arrays import Ragged, owners
from nmr_ml.numeric.compiled import kept
from nmr_ml.reasons import Censor, NoLabel
from nmr_ml.recovery_tests import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.history.episodes import Episodes
    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries
    from nmr_ml.numeric.arrays import Floats, Ints, Objects
    from nmr_ml.recovery_tests import TestSpec


@dataclass(frozen=True, slots=True)
class Followed(Ragged):
    """The tests of each query's episode, as deficits with errors.

    Parameters
    ----------
    offsets : int64 array, shape (n_queries + 1,)
        The tests of query ``q`` are ``offsets[q]:offsets[q + 1]``, in order of time.
    hours : float64 array, shape (n_tests,), h
        Hours from the clock start.
    deficit : float64 array, shape (n_tests,)
        Per cent (or points) below the baseline in the impaired direction; negative is better. The
        test is read as at the hours of its baseline
        (`nmr_ml.recovery_tests.TestSpec.day_amplitude`).
    error : float64 array, shape (n_tests,)
        Typical error of each test, on the same scale.
    shared_error : float64 array, shape (n_queries,)
        Standard error of the baseline, which all tests of the episode share, on the same scale.
    baselines : Baselines
        The rested baselines the deficits are measured from.
    family : FamilyTests or None
        The episode's other tests of the family, as far as they were asked for.
    """

    ITEMS: ClassVar[frozenset[str]] = frozenset({"hours", "deficit", "error"})

    offsets: Ints
    hours: Floats
    deficit: Floats
    error: Floats
    shared_error: Floats
    baselines: Baselines
    family: FamilyTests | None = None

    def alone(self) -> Followed:
        """Return the index tests without the family's other ones."""
        return replace(self, family=None)

    @property
    def over_h(self) -> Floats:
        """Hours to the last test of any kind, shape (n_queries,); 0 without one."""
        last = np.zeros(len(self))
        np.maximum.at(last, self.owner, self.hours)
        if self.family is not None:
            np.maximum.at(last, self.family.owner, self.family.hours)
        return last

    @classmethod
    def concatenate(cls, parts: Sequence[Followed]) -> Followed:
        """Return the queries of all `parts`, one after the other; some may have no family."""
        names = next((p.family.names for p in parts if p.family is not None), ())
        completed = [
            replace(p, family=FamilyTests.none(names, len(p))) if names and p.family is None else p
            for p in parts
        ]
        return super(Followed, cls).concatenate(completed)


def no_tests(n: int) -> Followed:
    """Return what is followed of `n` episodes of which no test is known."""
    nothing, offsets = np.empty(0), np.zeros(n + 1, np.int64)
    return Followed(offsets, nothing, nothing, nothing, np.full(n, np.nan), Baselines.unknown(n))


@kept
def tests_between(
    athlete: Ints, test: Ints, from_s: Ints, to_s: Ints, as_of_s: Ints,
    offsets: Ints, at_s: Ints, known_s: Ints, code: Floats,
) -> tuple[Ints, Ints]:  # fmt: skip
    """Return ragged rows of the tests in ``[from_s, to_s]`` known at `as_of_s`, per query."""
    bounds = np.zeros(athlete.size + 1, np.int64)
    rows = np.empty(0, np.int64)
    for filling in range(2):
        n = 0
        for q in range(athlete.size):
            if test[q] >= 0:
                first, last = offsets[athlete[q]], offsets[athlete[q] + 1]
                start = first + np.searchsorted(at_s[first:last], from_s[q])
                for i in range(start, last):
                    if at_s[i] > to_s[q]:
                        break
                    if code[i] == test[q] and known_s[i] <= as_of_s[q]:
                        if filling:
                            rows[n] = i
                        n += 1
            bounds[q + 1] = n
        if not filling:
            rows = np.empty(n, np.int64)
    return bounds, rows


def followed_tests(
    history: History,
    queries: Queries,
    specs: Mapping[str, TestSpec],
    *,
    known_by_s: Ints | None = None,
    others: Sequence[str] = (),
) -> Followed:
    """Return the in-episode tests of each query as deficits from its baseline.

    Parameters
    ----------
    known_by_s : int64 array, shape (n_queries,), s since 1970 UTC
        The follow-up is as it was known by then; by default at each query's `as_of`. `NEVER_S`
        stands for every row on record: labels. The baseline is as known at `as_of` in any case.
    others : sequence of str
        Other tests to be followed for the queries of their family.

    Notes
    -----
    A query without a baseline (fewer than 3 rested tests) gets no tests, and no other ones of a
    kind without a baseline of its own.
    """
    as_of = queries.as_of_s if known_by_s is None else known_by_s
    baselines = rested_baselines(history, queries, specs)
    test = np.where(np.isnan(baselines.mean), -1, queries.test)
    tests = history.tests
    clock = queries.clock_start_s
    exertion = queries.session >= 0
    upcoming = next_loading_s(history, queries.athlete, clock, as_of)
    end = np.minimum(np.minimum(clock + HORIZON_S, np.where(exertion, upcoming, NEVER_S)), as_of)
    offsets, rows = tests_between(
        queries.athlete, test, clock, end, as_of,
        tests.offsets, tests.at_s, tests.known_s, tests.columns["test"],
    )  # fmt: skip
    owner = owners(offsets)
    to_scale = scale_factors(history, queries, baselines, specs)
    change = baselines.mean[owner] - tests.columns["value"][rows]
    apart = np.nan_to_num(daytime_of(history)[rows] - baselines.daytime[owner])
    return Followed(
        offsets,
        (tests.at_s[rows] - queries.clock_start_s[owner]) / 3600.0,
        change * to_scale[owner] + hour_effects(history, queries, specs)[owner] * apart,
        test_errors(history, specs)[rows],
        np.abs(baselines.se * to_scale),
        baselines,
        _family_tests(history, queries, specs, as_of, others) if others else None,
    )


def whole_follow_up(
    history: History, queries: Queries, specs: Mapping[str, TestSpec], *, others: Sequence[str] = ()
) -> Followed:
    """Return `followed_tests` with every test on record: labels."""
    never = np.full(len(queries), NEVER_S)
    return followed_tests(history, queries, specs, known_by_s=never, others=others)


def _family_tests(
    history: History, queries: Queries, specs: Mapping[str, TestSpec], known_by_s: Ints,
    others: Sequence[str],
) -> FamilyTests:  # fmt: skip
    parts = []
    for name in others:
        code, component = history.test_names.index(name), COMPONENTS.index(specs[name].component)
        rows = np.flatnonzero((queries.component == component) & (queries.test != code))
        asked = replace(queries.take(rows), test=np.full(rows.size, code))
        found = followed_tests(history, asked, specs, known_by_s=known_by_s[rows])
        own = owners(found.offsets)
        error = np.hypot(found.error, found.shared_error[own])
        codes = np.full(own.size, code)
        parts.append((rows[own], found.hours, found.deficit, error, codes))
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    return FamilyTests.gathered(history.test_names, len(queries), *columns)


def scale_factors(
    history: History, queries: Queries, baselines: Baselines, specs: Mapping[str, TestSpec]
) -> Floats:
    """Return what turns "below baseline, in the test's unit" into a deficit on the test's scale.

    The sign is that of the test's direction: a slower sprint is a deficit.
    """
    spec = [specs[name] for name in history.test_names]
    sign = np.array([1.0 if s.direction == "higher" else -1.0 for s in spec] or [1.0])
    in_pct = np.array([s.scale == "pct" for s in spec] or [False])
    factor = sign[queries.test]
    # A questionnaire may have a baseline of 0; only percentages divide by it.
    per_unit = np.divide(
        100.0, baselines.mean, out=np.ones(len(queries)), where=in_pct[queries.test]
    )
    return np.asarray(factor * per_unit)


def hour_effects(history: History, queries: Queries, specs: Mapping[str, TestSpec]) -> Floats:
    """Return the `day_amplitude` of each query's test, on the test's scale."""
    effects = np.array([specs[name].day_amplitude for name in history.test_names] or [0.0])
    return effects[queries.test]


def censor_reasons(history: History, episodes: Episodes, queries: Queries) -> Objects:
    """Return why each query's follow-up ended (`nmr_ml.reasons.Censor`).

    The next loading session within 336 h; else the 336 h, where tests go on after them; else the
    last test.
    """
    horizon = episodes.clock_start_s[queries.episode] + HORIZON_S
    never = np.full(len(queries), NEVER_S)
    tests = history.tests
    offsets, _ = tests_between(
        queries.athlete, queries.test, horizon + 1, never, never,
        tests.offsets, tests.at_s, tests.known_s, tests.columns["test"],
    )  # fmt: skip
    reasons = np.full(len(queries), Censor.END_OF_TESTS.value, dtype=object)
    reasons[np.diff(offsets) > 0] = Censor.HORIZON.value
    reasons[episodes.next_loading_s[queries.episode] <= horizon] = Censor.NEXT_SESSION.value
    return reasons


def label_states(followed: Followed) -> Objects:
    """Return for each query whether it has a label, and if not why (`nmr_ml.reasons.NoLabel`)."""
    states = np.full(len(followed), NoLabel.LABELLED.value, dtype=object)
    states[np.diff(followed.offsets) == 0] = NoLabel.NO_TEST_IN_FOLLOW_UP.value
    states[np.isnan(followed.baselines.mean)] = NoLabel.TOO_FEW_RESTED_TESTS.value
    return states
