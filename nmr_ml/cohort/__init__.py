"""A folder of tables becomes a checked, canonical cohort, or rows with a reason."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.cohort.analytes import shipped_analytes
    from nmr_ml.cohort.cohort import Cohort, Warned
    from nmr_ml.cohort.folder import fingerprint
    from nmr_ml.cohort.reader import (
        canonical_cohort,
        examine_cohort,
        keep_quarantine,
        read_cohort,
        read_truth,
    )
    from nmr_ml.cohort.tables import TABLES
    from nmr_ml.cohort.writer import write_cohort
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = [
    "TABLES",
    "Cohort",
    "Warned",
    "canonical_cohort",
    "examine_cohort",
    "fingerprint",
    "keep_quarantine",
    "read_cohort",
    "read_truth",
    "shipped_analytes",
    "write_cohort",
]
