"""The page of the documentation that lists the columns of an answer, written from the code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmr_ml.predictions.columns import (
    ANSWER_COLUMNS,
    CLEARANCE_COLUMN,
    CURVE_COLUMN,
    CURVE_FIELDS,
    DRIVER_FIELDS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nmr_ml.predictions.columns import AnswerColumn

_HEAD = """# Columns of an answer

This page is written from the code (`nmr_ml.predictions.page.answers_page`); edit
`nmr_ml.predictions.columns` instead.

One row per episode, component and `as_of`. `nmr score` writes the columns as Parquet, `nmr predict`
and the API as JSON, and `nmr_ml.predict` returns them as a frame: the same names in the same order,
and the same values in every bit. On `abstained` every number is null. Times are UTC.

"""
_KINDS = {
    "text": "text", "time": "time", "number": "number", "flag": "true or false",
    "drivers": "list", "curve": "list",
}  # fmt: skip


def answers_page() -> str:
    """Return the page in Markdown."""
    extra = (CLEARANCE_COLUMN, CURVE_COLUMN)
    return _HEAD + "\n".join(
        [
            *_table(ANSWER_COLUMNS),
            "\nWith `--risk` (`clearance_h`), and in JSON (`curve`):\n",
            *_table(extra),
            "\nOf each of the `drivers`:\n",
            *_table(DRIVER_FIELDS),
            "\nOf each point of the `curve`:\n",
            *_table(CURVE_FIELDS),
            "",
        ]
    )


def _table(columns: Iterable[AnswerColumn]) -> list[str]:
    rows = [f"| `{c.name}` | {_KINDS[c.kind]} | {c.meaning}{_words(c)} |" for c in columns]
    return ["| column | holds | meaning |", "|---|---|---|", *rows]


def _words(column: AnswerColumn) -> str:
    return f" One of {', '.join(f'`{word}`' for word in column.words)}." if column.words else ""
