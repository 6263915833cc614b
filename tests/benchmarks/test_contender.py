"""A contender is warm before it is timed."""

from __future__ import annotations

from benchmarks.contender import warm_up
from nmr_ml.features import engine, labs, load, sleep
from nmr_ml.history import history, loading_sessions, rested_baseline
from nmr_ml.numeric import sorted_rows
from nmr_ml.recovery_tests import shipped_testspecs
from tests.support.feature_cohorts import history_of, random_cohort, random_queries


def test_warm_up_compiles_what_a_request_needs() -> None:
    """A second signature would be compiled in the first request, which takes seconds."""
    warm_up()
    some = history_of(random_cohort(8, athletes=3, days=50))
    engine.build_features(some, random_queries(some, 0), shipped_testspecs())
    kernels = [
        engine._fill, load._fill_added, load._fill_own, sleep._fill_quantities,
        labs._fill_drawn, labs._laid_out, loading_sessions._loading, history._placed,
        history._completed, rested_baseline._since, rested_baseline._links, sorted_rows.grouped,
        sorted_rows.running_latest,
    ]  # fmt: skip
    assert [len(kernel.signatures) for kernel in kernels] == [1] * len(kernels)  # type: ignore[attr-defined]
