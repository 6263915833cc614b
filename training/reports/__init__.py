"""What training found, for people."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from training.reports.card import write_card
    from training.reports.plots import figures, write_plots
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = ["figures", "write_card", "write_plots"]
