"""Settings of a training that takes seconds."""

from __future__ import annotations

SMALL = ("folds=2", "max_rounds=20", "least_athletes=5", "least_episodes=50", "bootstrap=100")
