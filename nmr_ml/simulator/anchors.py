"""The simulator against published group means; run as a module, it renews the README's table."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import TypeAdapter, ValidationError

from nmr_ml.errors import UsageError
from nmr_ml.runtime import configs
from nmr_ml.simulator import kernels
from nmr_ml.simulator.archetypes import Catalogue, damage_protection, impulses, mean_load
from nmr_ml.simulator.config import shipped_config
from nmr_ml.simulator.kernels import POWER, C, D, F, G, H, I, deficits_of, states_at
from nmr_ml.simulator.life import deltas, rested
from nmr_ml.simulator.modulators import daily_rates, draw_days
from nmr_ml.simulator.observe_labs import appearing, crp_peak_share
from nmr_ml.simulator.observe_tests import mvc_loss
from nmr_ml.simulator.people import make_person, make_team
from nmr_ml.simulator.schedule import Plan, draw_loads

if TYPE_CHECKING:
    from collections.abc import Callable

    from nmr_ml.numeric.arrays import Floats
    from nmr_ml.simulator.config import SimulatorConfig

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- anchors: begin -->", "<!-- anchors: end -->"
#: Thresholds of the `*_back` quantities, per cent; those of ``configs/tests.yaml``.
_THRESHOLDS = {"cmj_back": 2.6, "sprint_back": 1.0, "mvc_back": 4.0}
_GRID_H = np.arange(0.0, 600.0, 0.25)


class Anchor(NamedTuple):
    """A published group mean; `band` is what counts as agreement, `hours` is null for times."""

    archetype: str
    quantity: str
    hours: float | None
    published: float
    band: tuple[float, float]
    source: str


@cache
def shipped_anchors() -> tuple[Anchor, ...]:
    """Return the anchors of ``configs/simulator.yaml``.

    Raises
    ------
    UsageError
        ``config_invalid`` where one is not of the form of `Anchor`.
    """
    rows = configs.load("simulator.yaml").get("anchors")
    try:
        return TypeAdapter(tuple[Anchor, ...]).validate_python(rows)
    except ValidationError as error:
        raise UsageError(
            "config_invalid",
            f"simulator.yaml: anchors: {error.errors()[0]['msg']}.",
            "Compare with the shipped configs/simulator.yaml.",
        ) from error


def reference_states(archetype: str, hours: Floats, config: SimulatorConfig) -> Floats:
    """Return the states of the reference athlete `hours` after the archetype's mean session."""
    catalogue = Catalogue.of(config)
    left = impulses(mean_load(catalogue), catalogue, config.mapping)
    rates = np.ones((60, 4), dtype=np.float64)
    after = _after(left[[catalogue.names.index(archetype)]], rates, config)
    states: Floats = states_at(hours, np.zeros(1), after, rested(), rates, config.dynamics)
    return states


def _after(left: Floats, rates: Floats, config: SimulatorConfig) -> Floats:
    """Return the states after one session of a rested athlete that ends at hour 0."""
    now = np.zeros(1)
    never = np.full(1, np.nan)
    after: Floats
    after, _ = kernels.run_sessions(
        now, now, left, now, never, rested(), rates, config.dynamics, config.weights(),
        config.follow_up,
    )  # fmt: skip
    return after


def _back(curve: Floats, threshold: float) -> float:
    """Return the last crossing of `threshold`, 0 where the curve never reaches it."""
    above = np.flatnonzero(curve >= threshold)
    if not above.size:
        return 0.0
    i = int(above[-1])
    share = (curve[i] - threshold) / (curve[i] - curve[i + 1])
    return float(_GRID_H[i] + share * (_GRID_H[i + 1] - _GRID_H[i]))


def simulated(anchor: Anchor, config: SimulatorConfig) -> float:
    """Return what the reference athlete shows where `anchor` was measured."""
    hours = _GRID_H if anchor.hours is None else np.array([anchor.hours])
    states = reference_states(anchor.archetype, hours, config)
    curve = _QUANTITIES[anchor.quantity.removesuffix("_back").removesuffix("_peak")](
        states, hours, anchor.archetype, config
    )
    if anchor.quantity.endswith("_back"):
        return _back(-curve, _THRESHOLDS[anchor.quantity])
    if anchor.quantity.endswith("_peak"):
        return float(_GRID_H[np.argmax(curve)])
    return float(curve[0])


def _sprint(states: Floats, config: SimulatorConfig) -> Floats:
    w = config.sprint
    return (
        w["f"] * states[:, F]
        + w["c"] * states[:, C]
        + w["d"] * states[:, D]
        + w["i"] * states[:, I]
        + w["g"] * states[:, G]
    )


def _ck(hours: Floats, archetype: str, config: SimulatorConfig) -> Floats:
    kind, spec = config.archetypes[archetype], config.labs
    leak = kind.d + kind.ck_extra + spec.ck_collisions * kind.markers.get("collisions_n", 0.0)
    in_blood = appearing(hours, spec.ck_appearance_h, spec.ck_clearance_h)
    return 1.0 + spec.ck_slope * leak * in_blood


def _crp(hours: Floats, archetype: str, config: SimulatorConfig) -> Floats:
    in_blood = appearing(hours, config.labs.crp_source_h, config.labs.crp_clearance_h)
    return config.archetypes[archetype].crp_mg_l * in_blood / crp_peak_share(config.labs)


def _il6(hours: Floats, archetype: str, config: SimulatorConfig) -> Floats:
    fold = config.archetypes[archetype].il6_fold
    return 1.0 + fold * np.exp2(-hours / config.labs.il6_half_life_h)


def _hormone(states: Floats, slope: float) -> Floats:
    return 100.0 * np.expm1(slope * states[:, H])


_QUANTITIES: dict[str, Callable[..., Floats]] = {
    "cmj": lambda s, _h, _a, c: -deficits_of(s, c.weights())[:, POWER],
    "mvc": lambda s, _h, _a, c: -mvc_loss(s, c),
    "sprint": lambda s, _h, _a, c: -_sprint(s, c),
    "va": lambda s, _h, _a, _c: -s[:, C],
    "glycogen": lambda s, _h, _a, _c: -100.0 * s[:, G],
    "testosterone": lambda s, _h, _a, c: _hormone(s, c.labs.testosterone_per_h),
    "cortisol": lambda s, _h, _a, c: _hormone(s, c.labs.cortisol_per_h),
    "tc": lambda s, _h, _a, c: _hormone(s, c.labs.testosterone_per_h - c.labs.cortisol_per_h),
    "ck": lambda _s, h, a, c: _ck(h, a, c),
    "crp": lambda _s, h, a, c: _crp(h, a, c),
    "il6": lambda _s, h, a, c: _il6(h, a, c),
}


def agrees(anchor: Anchor, value: float) -> bool:
    """Return whether a simulated value lies in the anchor's band."""
    return anchor.band[0] <= value <= anchor.band[1]


def table(config: SimulatorConfig) -> str:
    """Return the comparison with every anchor as a Markdown table."""
    lines = [
        "| session | quantity | h | published | band | simulated | agrees | source |",
        "|---|---|---|---|---|---|---|---|",
    ]
    hits = 0
    for anchor in shipped_anchors():
        value = simulated(anchor, config)
        hit = agrees(anchor, value)
        hits += hit
        low, high = anchor.band
        hours = "" if anchor.hours is None else f"{anchor.hours:g}"
        lines.append(
            f"| {anchor.archetype} | {anchor.quantity} | {hours} | {anchor.published:g} "
            f"| {low:g} to {high:g} | {value:.1f} | {'yes' if hit else '**no**'} "
            f"| {anchor.source} |"
        )
    total = len(shipped_anchors())
    return "\n".join([f"{hits} of {total} anchors are met, {total - hits} are missed.", "", *lines])


def renewed(text: str, config: SimulatorConfig) -> str:
    """Return the README `text` with its table renewed."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(config)}\n{END}{after}"


def population(
    archetype: str, athletes: int, seed: int, config: SimulatorConfig, *, hours: Floats
) -> tuple[Floats, Floats]:
    """Simulate one session of `archetype` in different rested athletes, evidence profile.

    Returns
    -------
    curves : array of shape (athletes, hours)
        Power deficit, per cent.
    recovery_h : array of shape (athletes,)
    """
    catalogue = Catalogue.of(config)
    load = draw_loads(
        _one_each(catalogue.names.index(archetype), athletes, seed, config),
        np.ones(athletes), catalogue, np.random.default_rng(seed), config,
    )  # fmt: skip
    left = impulses(load, catalogue, config.mapping)
    rng = np.random.default_rng(seed + 1)
    left *= np.exp(config.variation.session_impulse * rng.standard_normal(athletes))[:, None]
    team = make_team(0, seed, config)
    curves, recovery = np.empty((athletes, hours.size)), np.empty(athletes)
    for i in range(athletes):
        person = make_person(i, team, seed, config)
        own = left[[i]] * person.impulse
        own[:, 2] *= damage_protection(
            np.array([person.familiarity]), person.training, config.mapping
        )
        days = draw_days(person, 45, seed, config)
        rates = daily_rates(person, days, np.zeros(45), config.profiles["evidence"], config)
        weights = config.weights()
        out = weights._replace(power_i=weights.power_i * person.inflammation)
        after = _after(own, rates, config)
        states = states_at(hours, np.zeros(1), after, rested(), rates, config.dynamics)
        curves[i] = deficits_of(states, out)[:, POWER]
        recovery[i] = kernels.recovery_hours(
            np.zeros(1), after, np.array([-1]), rates, rates, deltas(),
            config.truth_horizon_h, config.dynamics, out,
        )[0, POWER]  # fmt: skip
    return curves, recovery


def _one_each(archetype: int, n: int, seed: int, config: SimulatorConfig) -> Plan:
    rng = np.random.default_rng(seed + 2)
    return Plan(
        day=np.zeros(n, dtype=np.int64),
        start_h=np.zeros(n),
        archetype=np.full(n, archetype),
        kind=np.full(n, "match"),
        volume=np.ones(n),
        intensity=np.ones(n),
        team_load=np.exp(config.variation.team_load * rng.standard_normal(n)),
        probability=np.ones(n),
        followed=np.ones(n, dtype=bool),
    )


if __name__ == "__main__":
    README.write_text(
        renewed(README.read_text(encoding="utf-8"), shipped_config()), encoding="utf-8"
    )
