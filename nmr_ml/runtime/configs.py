"""The shipped configuration files and the two places that override them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from nmr_ml.errors import UsageError
from nmr_ml.runtime.home import home

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def shipped(name: str) -> Traversable:
    """Return the file `name` that ships with the package."""
    packaged = files("nmr_ml").joinpath("configs", name)
    # In a checkout the files stand beside the package; the wheel carries them inside.
    return packaged if packaged.is_file() else Path(__file__).parents[2] / "configs" / name


def load(name: str, *, override: Path | None = None) -> dict[str, Any]:
    """Read the configuration `name`: `override`, else ``$NMR_HOME/configs``, else the shipped one.

    Raises
    ------
    UsageError
        ``config_unreadable`` where the file is missing or is no YAML mapping.
    """
    local = home() / "configs" / name
    path: Traversable = override or (local if local.is_file() else shipped(name))
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(
            "config_unreadable", f"{path} cannot be read: {error}.", "Give a YAML file."
        ) from error
    if not isinstance(content, dict):
        raise UsageError(
            "config_unreadable",
            f"{path} holds a {type(content).__name__}, expected a mapping of keys to values.",
            "Start from the shipped file of the same name.",
        )
    return content
