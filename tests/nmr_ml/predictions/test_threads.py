"""A library user may predict from several threads with one bundle and one history."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pandas as pd

from nmr_ml.bundle.bundle import load_bundle
from nmr_ml.cohort.reader import read_cohort
from nmr_ml.history.history import build_history
from nmr_ml.predictions.options import Options
from nmr_ml.predictions.predict import Predictions, predict_history
from tests.support.reference import BUNDLE, COHORT

THREADS = 6
#: More tables than are kept, so that threads drop one another's.
DELTAS = [2.0 + 0.1 * i for i in range(18)]


def test_threads_get_the_answers_that_one_gets() -> None:
    cohort, names = read_cohort(COHORT), tuple(sorted(load_bundle(BUNDLE).specs))
    as_of = cohort["sessions"]["known_at"].max().to_pydatetime()

    def asked(delta: float) -> Options:
        return Options(as_of=as_of, deltas={"*": delta}, curves=True)

    alone, history = load_bundle(BUNDLE), build_history(cohort, names)
    expected = [predict_history(alone, history, asked(delta)) for delta in DELTAS]
    shared, fresh = load_bundle(BUNDLE), build_history(cohort, names)
    together = Barrier(THREADS)

    def ask(thread: int) -> list[tuple[int, Predictions]]:
        together.wait()
        order = [(i + 3 * thread) % len(DELTAS) for i in range(0, len(DELTAS), 2)]
        return [(k, predict_history(shared, fresh, asked(DELTAS[k]))) for k in order]

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            answers = [answer for told in pool.map(ask, range(THREADS)) for answer in told]
    finally:
        sys.setswitchinterval(before)
    # Compared by one thread: pandas changes the filters of warnings, which threads share.
    for k, found in answers:
        pd.testing.assert_frame_equal(found.frame, expected[k].frame, check_exact=True)
        assert repr(found.curves) == repr(expected[k].curves)
