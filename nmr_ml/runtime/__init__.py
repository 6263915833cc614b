"""Where state, settings and failures go."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.runtime.home import writing_file, writing_folder
    from nmr_ml.runtime.telemetry import switch_off
    from nmr_ml.runtime.traces import places
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = ["places", "switch_off", "writing_file", "writing_folder"]
