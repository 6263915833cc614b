"""The page of the documentation that lists the features, written from the code."""

from __future__ import annotations

from nmr_ml.features.catalogue import GROUPS, catalogue, catalogue_table
from nmr_ml.features.contract import feature_contract

_HEAD = """# Features

This page is written from the code (`nmr_ml.features.page.features_page`); edit the catalogue
instead.

A query asks about one episode, one component and one moment (`as_of`). Its features are one row of
{count} numbers ({by_group}), NaN where missing. Contract hash: `{hash}`.

## Rules

- A row of a table counts only if its event time and its `known_at` are both not after `as_of`. The
  event time of a session is its end, of a night waking, of a day's food local midnight after it.
- Windows are `(as_of - W, as_of]` in event time, in hours that really passed; local days and the
  local clock are those of the cohort's `timezone`.
- "Before" is before the clock start of the episode. Tests at or after it are never features: they
  enter the prediction through the likelihood of the recovery curve.
- Missing, zero and stale are three things. A sum is 0 only where sessions before the window are on
  record and none falls into it; it is missing where nothing is known; a value older than its
  maximum age is missing.
- Load, sleep and food look back 112 days at most, so a request with that much history gets the
  values of training. Longer: laboratory baselines (365 days, with the sessions around the draws),
  injuries (365 days), the rested baseline (120 days, and the athlete's record for what counts as a
  loading session).
- Rows of day precision give no time within the day: gaps and ages are whole local days x 24 h, and
  start times are missing. Of such a night there is no efficiency, latency, midpoint or deep sleep
  window, and what was slept (3 h or more, or not known) makes it a night. A sample of day precision
  is not corrected for waking and not taken to follow a session, nor is any sample taken to follow a
  session of day precision; two of them make a ratio where they carry the same day.
- Laboratory values are natural logarithms in canonical units. Specimens are never mixed in one
  baseline. Testosterone and cortisol are corrected to 1 h after waking where waking is known. Below
  the limit of quantification a value stands for LOQ/√2 as a last value, and is left out of
  baselines and ratios. Under hormonal contraception the levels of testosterone (also free),
  cortisol and SHBG in blood and all ratios in blood are missing; where it is not known, they are
  kept.
- Epochs of sleep become known with the night in which they start.
- The ACWR is not among the features: acute and chronic load and their log difference are. Who needs
  it for comparison with older work gets it beside them: `nmr features --with acwr`
  (`nmr_ml.features.legacy`).

## Catalogue

"""


def features_page() -> str:
    """Return the page in Markdown."""
    groups = [feature.group for feature in catalogue()]
    by_group = ", ".join(f"{group} {groups.count(group)}" for group in GROUPS)
    head = _HEAD.format(count=len(groups), by_group=by_group, hash=feature_contract().hash)
    return head + catalogue_table()
