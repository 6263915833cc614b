"""What components are fitted to and scored on."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from training.data.dataset import ComponentData, component_data, concatenate
    from training.data.training_set import training_frame
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = ["ComponentData", "component_data", "concatenate", "training_frame"]
