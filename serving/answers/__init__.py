"""Predictions as Parquet, as JSON and for a person."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from serving.answers.encoding import rows, table
    from serving.answers.rendering import rendered
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = ["rendered", "rows", "table"]
