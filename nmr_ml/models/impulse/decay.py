"""How an impulse decays: a fast part within hours, a slow one from exponential to plateau.

A session leaves ``F 2^(-x / h) + A k(x / tau)`` after `x` hours. The slow kernel
``k(u) = (1 + c) / (1 + c (2 + 1/c)^u)`` has half-life `tau` for every `c`: for large `c` it is an
exponential, for small `c` it stays on a plateau until about `tau` and then falls, as a deficit does
that hardly moves for a day and is gone the next.
"""

from __future__ import annotations

import math

from nmr_ml.numeric.compiled import inner

LN2 = math.log(2.0)
#: Beyond this exponent a kernel is 0 to every digit, and its exponential would overflow.
_MOST = 600.0


@inner
def slow_rate(c: float) -> float:
    """Return ``ln(2 + 1/c)``, by which the slow kernel of `c` falls at last, per half-life."""
    return math.log(2.0 + 1.0 / c)


@inner
def slow_left(u: float, c: float, rate: float) -> float:
    """Return k(u), the share of the slow part left after `u` half-lives; `rate` is that of `c`."""
    left: float = (1.0 + c) / (1.0 + c * math.exp(min(u * rate, _MOST)))
    return left


@inner
def slow_slopes(u: float, c: float) -> tuple[float, float, float]:
    """Return k(u) and its derivatives by log tau and by log c."""
    base = 2.0 + 1.0 / c
    rate = math.log(base)
    grown = math.exp(min(u * rate, _MOST))
    whole = 1.0 + c * grown
    left = (1.0 + c) / whole
    by_log_tau = u * left * c * rate * grown / whole
    by_log_c = left * c * (1.0 / (1.0 + c) - (grown - u * grown / (base * c)) / whole)
    return left, by_log_tau, by_log_c


@inner
def fast_left(x_h: float, half_life_h: float) -> float:
    """Return the share of the fast part left after `x_h` hours."""
    left: float = math.exp(-LN2 * x_h / half_life_h)
    return left
