"""The configuration of an experiment: ``configs/train.yaml`` and what overrides it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nmr_ml.errors import UsageError
from nmr_ml.models.curve.boosted import Preset, TreeSettings
from nmr_ml.runtime import configs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, le=1)]


class TrainConfig(BaseModel):
    """What ``configs/train.yaml`` says, checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: Annotated[int, Field(ge=0)]
    landmarks_h: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)]
    folds: Annotated[int, Field(ge=2)]
    # Folds are by athlete, and there are at least two.
    least_athletes: Annotated[int, Field(ge=2)]
    least_episodes: Count
    least_resolved: Count
    least_resolved_athletes: Annotated[int, Field(ge=2)]
    least_resolved_for_trees: Count
    bootstrap: Count
    held_out_time: Annotated[float, Field(gt=0, lt=1)] | None
    preset: Preset
    learning_rate: Share
    num_leaves: Annotated[int, Field(ge=2)]
    min_data_in_leaf: Count
    feature_fraction: Share
    bagging_fraction: Share
    lambda_l2: Annotated[float, Field(ge=0)]
    max_bin: Annotated[int, Field(ge=2)]
    max_rounds: Annotated[int, Field(ge=10)]
    threads: Count

    def trees(self) -> TreeSettings:
        """Return the part that LightGBM needs."""
        return TreeSettings.of(self)


def load_config(path: Path | None = None, settings: Sequence[str] = ()) -> TrainConfig:
    """Read the shipped configuration, then `path`, then ``KEY=VALUE`` settings; the last one wins.

    Raises
    ------
    UsageError
        ``config_invalid`` names the key and what it may hold; ``config_unreadable``.
    """
    content = configs.load("train.yaml")
    if path is not None:
        content |= configs.load(path.name, override=path)
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(
                "config_invalid", f"--set {setting!r} has no value.", "Write --set KEY=VALUE."
            )
        try:
            content[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(
                "config_invalid",
                f"--set {setting!r} is no YAML value.",
                "Write a number, a word or a list: --set landmarks_h=[0,24].",
            ) from error
    try:
        return TrainConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        unknown = first["type"] == "extra_forbidden"
        raise UsageError(
            "config_invalid",
            f"{key} is not a known key." if unknown else f"{key}: {first['msg']}.",
            f"Known keys: {', '.join(TrainConfig.model_fields)}.",
        ) from error
