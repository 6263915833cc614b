from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmr_ml.features.moments import FEATURES_BACK_S
from nmr_ml.history.episodes import find_episodes
from nmr_ml.history.queries import Queries, at_landmarks, expand
from nmr_ml.labels.followed_tests import followed_tests
from nmr_ml.models.component.past_episodes import past_episodes
from tests.support.small_cohorts import (
    NAMES,
    SPECS,
    history_of,
    measured,
    rested,
    session,
    small_cohort,
)

if TYPE_CHECKING:
    from nmr_ml.history.history import History

Row = dict[str, Any]
POWER = {"power": "cmj_height"}


def rows_of(seed: int, late: float) -> tuple[list[Row], list[Row]]:
    """Sessions and tests of two athletes over five weeks, a share of them known only later."""
    rng = np.random.default_rng(seed)
    sessions, tests = [], []
    for athlete in "ab":
        tests += rested((40 + rng.normal(size=5)).tolist(), athlete=athlete)
        for day in range(35):
            hour = 24.0 * day + rng.uniform(8, 18)
            known = hour + (rng.uniform(1, 120) if rng.uniform() < late else 0.0)
            if rng.uniform() < 0.6:
                load = float(rng.choice([80.0, 400.0, 600.0, np.nan]))
                sessions.append(session(hour, load, athlete=athlete, known_h=known))
            if rng.uniform() < 0.6:
                at = hour + rng.uniform(2, 20)
                tests.append(
                    measured(at, 38 + rng.normal(), athlete=athlete, known_h=max(known, at))
                )
    return sessions, tests


def asked_of(history: History) -> Queries:
    episodes = find_episodes(history)
    return expand(at_landmarks(episodes, [0.0, 24.0]), episodes, history, POWER)


def before_of(history: History, queries: Queries, q: int) -> list[tuple[float, ...]]:
    """What is known before one query, each earlier session asked about by itself."""
    episodes, sessions = find_episodes(history), history.sessions
    found = []
    for i in range(sessions.offsets[queries.athlete[q]], sessions.offsets[queries.athlete[q] + 1]):
        clock = queries.clock_start_s[q]
        recent = clock - FEATURES_BACK_S <= sessions.at_s[i] < clock
        load = sessions.columns["session_load_au"][i]
        if not recent or sessions.known_s[i] > clock or np.isnan(load):
            continue
        ended = sessions.at_s[i]
        asked = (i, 0, queries.athlete[q], i, queries.test[q], ended, ended)
        one = Queries(*(np.array([v]) for v in asked))
        tests = followed_tests(history, one, SPECS, known_by_s=np.array([clock]))
        if tests.hours.size:
            found.append((float(episodes.clock_start_s[i]), *tests.hours, *tests.deficit))
    return found


def told_of(history: History, queries: Queries) -> list[list[tuple[float, ...]]]:
    past = past_episodes(history, find_episodes(history), queries, SPECS)
    each = []
    for e in range(len(past.queries)):
        tests = slice(past.followed.offsets[e], past.followed.offsets[e + 1])
        clock = float(past.queries.clock_start_s[e])
        each.append((clock, *past.followed.hours[tests], *past.followed.deficit[tests]))
    return [
        [each[k] for k in past.rows[past.offsets[s] : past.offsets[s + 1]]] for s in past.subject
    ]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.2]))
def test_labels_that_are_worked_out_once_are_those_of_each_query_alone(
    seed: int, late: float
) -> None:
    history = history_of(small_cohort(*rows_of(seed, late)))
    queries = asked_of(history)
    told = told_of(history, queries)
    assert any(told)
    for q in range(0, len(queries), 5):
        assert told[q] == before_of(history, queries, q)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_rows_known_later_change_nothing_earlier(seed: int) -> None:
    sessions, tests = rows_of(seed, 0.3)
    cut_h = 400.0

    def early(rows: list[Row]) -> list[Row]:
        moment = measured(cut_h, 0.0)["measured_at"]
        return [row for row in rows if row["known_at"] <= moment]

    whole = history_of(small_cohort(sessions, tests))
    part = history_of(small_cohort(early(sessions), early(tests)))
    moment_s = int(measured(cut_h, 0.0)["measured_at"].timestamp())
    asked = [q.take(np.flatnonzero(q.clock_start_s <= moment_s))
             for q in (asked_of(whole), asked_of(part))]  # fmt: skip
    answers = []
    for history, queries in zip((whole, part), asked, strict=True):
        ids = np.array(history.athlete_ids)[queries.athlete]
        told = told_of(history, queries)
        answers.append({(ids[q], queries.clock_start_s[q]): told[q] for q in range(len(queries))})
    for key, episodes in answers[1].items():
        assert answers[0][key] == episodes


def test_an_episode_without_a_test_or_a_known_load_is_no_evidence() -> None:
    sessions = [session(0.0), session(48.0, np.nan), session(96.0), session(144.0)]
    tests = [*rested([40.0] * 4), measured(24.0, 38.0), measured(72.0, 39.0)]
    history = history_of(small_cohort(sessions, tests))
    told = told_of(history, asked_of(history))
    starts = sorted({clock for before in told for clock, *_ in before})
    assert starts == [pytest.approx(history.sessions.at_s[0])]


def test_a_cohort_without_earlier_episodes_has_none() -> None:
    history = history_of(small_cohort([session(0.0)], rested([40.0] * 4)))
    assert told_of(history, asked_of(history)) == [[], []]
    assert NAMES == history.test_names
