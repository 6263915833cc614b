"""The commands of the `nmr` command line that need neither training nor serving."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.cli.main import guarded, run, stop_on_sigterm
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = ["guarded", "run", "stop_on_sigterm"]
