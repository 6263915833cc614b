"""Blood and saliva: when they are drawn, what they hold, and when the result is known (§6.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.cohort.analytes import shipped_analytes
from nmr_ml.simulator.archetypes import MARKERS, damage_ratio
from nmr_ml.simulator.availability import away
from nmr_ml.simulator.clock import to_minute
from nmr_ml.simulator.kernels import H, Q
from nmr_ml.simulator.streams import Purpose, stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nmr_ml.numeric.arrays import Floats
    from nmr_ml.simulator.config import Labs
    from nmr_ml.simulator.life import Life
    from nmr_ml.simulator.observe_tests import Columns

_COLLISIONS = MARKERS.index("collisions_n")
_LN2 = float(np.log(2.0))


def labs(life: Life) -> Iterator[Columns]:
    """Yield the rows of each analyte that the team has measured, as columns."""
    person, clock, config = life.person, life.world.clock, life.world.config
    if not person.team.panel:
        return
    rng = stream(life.world.seed, Purpose.LABS, person.index)
    times = _draws(life, rng)
    day, _ = clock.local(times)
    delay = person.team.lab_delay_h * rng.uniform(0.6, 1.0, times.size)
    rises = _log_rises(life, times)
    for analyte, specimen, unit in person.team.panel:
        key = f"{specimen}_{analyte}"
        assay = config.labs.analytes[key]
        level = np.log(assay.median[0 if person.male else 1])
        level += assay.between * person.lab_level[key]
        noise = assay.assay * rng.standard_normal(times.size)
        value = np.exp(level + rises.get(key, 0.0) + noise)
        worth = shipped_analytes()[analyte].to_canonical(unit) or 1.0
        yield {
            "athlete_id": np.full(times.size, person.athlete_id),
            "drawn_at": times,
            "analyte": np.full(times.size, analyte),
            "value": _printed(np.maximum(value, assay.loq) / worth),
            "unit": np.full(times.size, unit),
            "specimen": np.full(times.size, specimen),
            "awake_at": clock.elapsed(day, life.days.wake_hour[day]),
            "below_loq": (value < assay.loq).astype(np.float64),
            "assay": np.full(times.size, "immunoassay"),
            # Creatine kinase from a finger-prick is read on the spot.
            "known_at": times + (delay if specimen != "capillary" else 0.0),
        }


def _printed(value: Floats) -> Floats:
    """Return three significant digits, as laboratories print."""
    digits = 2 - np.floor(np.log10(value)).astype(np.int64)
    scale = 10.0 ** digits.astype(np.float64)
    return np.round(value * scale) / scale


def _draws(life: Life, rng: np.random.Generator) -> Floats:
    """Draw the moments of sampling: scheduled mornings, after matches, and the morning after."""
    config, clock, span = life.world.config, life.world.clock, life.world.span
    team, spec, sessions = life.person.team, config.labs, life.sessions
    day = np.arange(team.lab_weekday, span, team.lab_interval)
    contest = sessions.kind != "training"
    end_day, _ = clock.local(sessions.end_h)
    sampled = contest & (rng.random(contest.size) < spec.after_match)
    mornings = np.union1d(day[rng.random(day.size) < spec.draw_probability], end_day[sampled] + 1)
    mornings = mornings[mornings < span]
    hour = life.days.wake_hour[mornings] + rng.uniform(0.5, 2.5, mornings.size)
    soon = sessions.end_h[sampled] + rng.uniform(0.25, 1.0, int(sampled.sum()))
    times = np.unique(to_minute(np.concatenate([clock.elapsed(mornings, hour), soon])))
    return times[(times < 24.0 * span) & ~away(times, life.absences)]


def _log_rises(life: Life, times: Floats) -> dict[str, Floats]:
    """Return log changes against the athlete's own rest level, by specimen and analyte."""
    config, person = life.world.config, life.person
    spec = config.labs
    day, hour = life.world.clock.local(times)
    states = life.states(times)
    stress = states[:, H] + states[:, Q]
    awake = (hour - life.days.wake_hour[day]) % 24.0
    since = times[:, None] - life.sessions.end_h
    hard = np.where(life.sessions.load.rpe >= 6.0, 1.0, 0.4)
    acute = spec.acute_cortisol * _faded(since, hard, spec.acute_half_life_h)
    hormones = config.hormones
    short = np.maximum(8.0 - life.sleep_h[day], 0.0)
    own_t = hormones.testosterone_sd * life.days.testosterone_z[day]
    own_c = hormones.cortisol_sd * life.days.cortisol_z[day]
    sex = "male" if person.male else "female"
    daily_t = daily_course(awake, getattr(spec.diurnal, f"{sex}_testosterone"), spec)
    t = own_t + daily_t + spec.testosterone_per_h * stress - spec.testosterone_sleep * short
    c = own_c + spec.cortisol_per_h * stress + acute
    pill = spec.contraception if person.contraception else None
    serum_c = c + daily_course(awake, spec.diurnal.serum_cortisol, spec)
    serum_t = t + (pill.testosterone if pill else 0.0)
    leak, crp, il6 = _markers(life, since)
    ck = np.log1p(spec.ck_slope * person.ck_response * leak)
    return {
        "serum_testosterone": serum_t,
        "serum_free_testosterone": serum_t,
        "saliva_testosterone": serum_t,
        "serum_cortisol": serum_c + (pill.cortisol if pill else 0.0),
        "saliva_cortisol": c + daily_course(awake, spec.diurnal.saliva_cortisol, spec),
        "serum_shbg": np.full(times.size, pill.shbg if pill else 0.0),
        "serum_igf1": 0.15 * life.days.igf1_z[day],
        "serum_ck": ck,
        "capillary_ck": ck,
        "serum_crp": np.log1p(crp / _crp_at_rest(life)),
        "serum_il6": np.log1p(il6),
    }


def daily_course(awake_h: Floats, amplitude: float, spec: Labs) -> Floats:
    """Return the log deviation by hours awake, 0 at one hour after waking (domain.md §3.3)."""
    phase = spec.diurnal_phase_h
    now = np.cos(2.0 * np.pi * (awake_h - phase) / 24.0)
    course: Floats = now - np.cos(2.0 * np.pi * (1.0 - phase) / 24.0)
    return amplitude * course


def appearing(since_h: Floats, source_half_life: float, clearance_half_life: float) -> Floats:
    """Return the share in blood of what a source empties into it, 0 before the source starts."""
    k_in, k_out = _LN2 / source_half_life, _LN2 / clearance_half_life
    hours = np.maximum(since_h, 0.0)
    return k_in / (k_in - k_out) * (np.exp(-k_out * hours) - np.exp(-k_in * hours))


def _faded(since_h: Floats, size: Floats, half_life: float) -> Floats:
    """Return the sum over sessions of what is left of an effect that starts at once."""
    left = np.exp(-_LN2 / half_life * np.maximum(since_h, 0.0))
    faded: Floats = np.sum(np.where(since_h >= 0.0, left * size, 0.0), axis=1)
    return faded


def _markers(life: Life, since: Floats) -> tuple[Floats, Floats, Floats]:
    """Return muscle leakage, the rise of CRP in mg/L and the fold rise of IL-6."""
    spec, catalogue, load = life.world.config.labs, life.world.catalogue, life.sessions.load
    share = damage_ratio(load, catalogue) ** spec.extreme_power
    leak = life.sessions.impulses[:, 2] + catalogue.ck_extra[load.archetype] * share
    leak += spec.ck_collisions * np.nan_to_num(load.markers[:, _COLLISIONS])
    in_blood = appearing(since, spec.ck_appearance_h, spec.ck_clearance_h)
    acute = appearing(since, spec.crp_source_h, spec.crp_clearance_h)
    peak = crp_peak_share(spec)
    crp = acute @ (catalogue.crp_mg_l[load.archetype] * share) / peak
    il6 = _faded(since, catalogue.il6_fold[load.archetype] * share, spec.il6_half_life_h)
    return in_blood @ leak, crp, il6


def _crp_at_rest(life: Life) -> float:
    """Return the athlete's own CRP at rest, mg/L: the rise is in mg/L whatever that is."""
    assay = life.world.config.labs.analytes["serum_crp"]
    level = assay.between * life.person.lab_level["serum_crp"]
    return assay.median[0 if life.person.male else 1] * float(np.exp(level))


def crp_peak_share(spec: Labs) -> float:
    """Return the highest value of the course of CRP after a source of size 1."""
    ratio = spec.crp_clearance_h / spec.crp_source_h
    peak_h = np.log(ratio) / (_LN2 / spec.crp_source_h - _LN2 / spec.crp_clearance_h)
    return float(appearing(np.array([peak_h]), spec.crp_source_h, spec.crp_clearance_h)[0])
