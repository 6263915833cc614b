from __future__ import annotations

import math

from nmr_ml.numeric.convergence import Search
from training.reports.convergence import convergence_json, not_converged, not_converged_line

SEARCHES = [
    Search("population", 12, converged=False, moved=0.0021),
    Search("athlete_spread", 40, converged=True),
    Search("population", 3, converged=True),
]


def test_searches_are_counted_by_name() -> None:
    assert convergence_json(SEARCHES) == {
        "athlete_spread": {
            "searches": 1,
            "not_converged": 0,
            "most_steps": 40,
            "last_move": None,
        },
        "population": {
            "searches": 2,
            "not_converged": 1,
            "most_steps": 12,
            "last_move": 0.0021,
        },
    }


def test_a_card_says_in_a_line_what_ended_at_its_limit() -> None:
    counts = convergence_json(SEARCHES)
    none = convergence_json(SEARCHES[1:])
    card = {"convergence": {"availability": none, "power": counts, "central": counts}}
    assert not_converged(card) == {"availability": 0, "power": 1, "central": 1}
    said = "1 of 3, mostly population"
    assert not_converged_line(card) == f"power {said}; central {said}"
    assert not_converged_line({"convergence": {"power": none, "availability": {}}}) == ""


def test_a_move_that_is_not_known_is_not_told() -> None:
    stopped = [Search("law", 1, converged=False, moved=move) for move in (None, math.inf)]
    assert convergence_json(stopped)["law"]["last_move"] is None


def test_a_card_of_an_earlier_version_tells_nothing() -> None:
    assert not_converged({}) == {}
    assert not_converged_line({}) == ""
