"""Predictions load only what they need."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Loading any of them takes a second or more, or makes a server need what it never uses.
NEEDLESS = ("bentoml", "fastapi", "lightgbm", "matplotlib", "mlflow", "pandera", "sklearn")
LOADED = f"print(*sorted(set({NEEDLESS}) & sys.modules.keys()))"


@pytest.mark.parametrize("module", ["predictions", "predictions.predict", "predictions.readings"])
def test_predictions_load_nothing_needless(module: str) -> None:
    code = f"import sys, nmr_ml.{module}; {LOADED}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
