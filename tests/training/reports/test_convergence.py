from __future__ import annotations

from nmr_ml.numeric.convergence import Search
from training.reports.convergence import convergence_json, not_converged, not_converged_line

SEARCHES = [
    Search("population", 12, converged=False),
    Search("athlete_spread", 40, converged=True),
    Search("population", 3, converged=True),
]


def test_searches_are_counted_by_name() -> None:
    assert convergence_json(SEARCHES) == {
        "athlete_spread": {"searches": 1, "not_converged": 0, "most_steps": 40},
        "population": {"searches": 2, "not_converged": 1, "most_steps": 12},
    }


def test_a_card_says_in_a_line_what_ended_at_its_limit() -> None:
    counts = convergence_json(SEARCHES)
    none = convergence_json(SEARCHES[1:])
    card = {"convergence": {"availability": none, "power": counts, "central": counts}}
    assert not_converged(card) == {"availability": 0, "power": 1, "central": 1}
    line = not_converged_line(card)
    assert line == "power: population 1 of 2; central: population 1 of 2"
    assert not_converged_line({"convergence": {"power": none, "availability": {}}}) == ""


def test_a_card_of_an_earlier_version_tells_nothing() -> None:
    assert not_converged({}) == {}
    assert not_converged_line({}) == ""
