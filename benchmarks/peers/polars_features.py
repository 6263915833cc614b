"""The subset in Polars, under the two-clock rule.

Windows are differences of prefix sums in event order, less the few rows that had happened but were
not known yet; those pairs are listed exactly with `search_sorted`. Last values are running maxima
in the order in which rows became known. Every lookup is an as-of join on one integer key (athlete,
time), which is faster than `join_asof(by=...)`. Decays are prefix sums too, so that an age counts
in seconds where the engine counts whole hours: the two averages differ by up to one hour's decay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from benchmarks.peers.subset import (
    DAY_S,
    FLOORS,
    HORIZON_S,
    HOUR_S,
    KEPT,
    LOAD_NAMES,
    MARKER_AGE_S,
    MARKERS,
    NAMES,
    NIGHTS,
    SUM_NAMES,
    SUMMED,
    WINDOWS_D,
)

if TYPE_CHECKING:
    from benchmarks.peers.subset import Tables

    Frames = dict[str, pl.DataFrame]

BLOCK = 200  # athletes
SPAN_S = 1 << 34  # more seconds than any calendar of the data has
BASELINE_S, LAST_NIGHT_S = 28 * DAY_S, 36 * HOUR_S


def prepare(tables: Tables) -> Frames:
    """Return the tables as Polars frames, missing numbers as null."""
    return {name: pl.DataFrame(columns, nan_to_null=True) for name, columns in tables.items()}


def build(frames: Frames, block: int = BLOCK) -> pl.DataFrame:
    """Return the subset, one row per query in their order.

    Athletes are taken in blocks: at 2,000 athletes this saves nearly half the time, because what a
    block needs stays small.
    """
    athletes = int(frames["queries"]["athlete"].max() or 0) + 1
    parts = [_build(_of(frames, a, a + block)) for a in range(0, athletes, block)]
    return pl.concat(parts).sort("q").select(NAMES)


def _of(frames: Frames, first: int, last: int) -> Frames:
    """Return the rows of the athletes ``first:last``, numbered anew."""
    parts, start = {}, 0
    for name, frame in frames.items():
        rows = frame.filter(pl.col("athlete").is_between(first, last, closed="left"))
        if name == "sessions" and rows.height:
            start = rows["row"][0]
        parts[name] = rows.with_columns(row=pl.int_range(rows.height)) if "row" in rows else rows
    return parts | {"queries": parts["queries"].with_columns(pl.col("own") - start)}


def _build(frames: Frames) -> pl.DataFrame:
    queries = frames["queries"].with_columns(key=_key("as_of_s")).sort("key")
    parts = [
        _load(queries, frames["sessions"]),
        _previous(queries, frames["sessions"]),
        _last_night(queries, frames["nights"]),
        _markers(queries, frames["markers"]),
    ]
    return pl.concat([queries.select("q"), *parts], how="horizontal")


def _key(time: str, group: str = "athlete") -> pl.Expr:
    return pl.col(group) * SPAN_S + pl.col(time)


def _lookup(keys: pl.Series, log: pl.DataFrame, group_of: pl.Series | None = None) -> pl.DataFrame:
    """Return the last row of `log` (sorted by ``key``) at or before each key, of its own group."""
    groups = keys // SPAN_S if group_of is None else group_of
    row = log["key"].search_sorted(keys, side="right").cast(pl.Int64) - 1
    own = (row >= 0) & ((log["key"] // SPAN_S).gather(row.clip(0)) == groups)
    return log.drop("key").select(
        pl.all().gather(pl.lit(row.zip_with(own, pl.Series([None], dtype=pl.Int64))))
    )


def _unknown_pairs(queries: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return ``at`` (position of the query) and ``row`` wherever a row was not known yet."""
    late = rows.filter(pl.col("known_s") > pl.col("at_s"))
    first = queries["key"].search_sorted(late.select(_key("at_s")).to_series())
    last = queries["key"].search_sorted(late.select(_key("known_s")).to_series())
    pairs = pl.DataFrame({"row": late["row"], "first": first, "last": last})
    pairs = pairs.filter(pl.col("last") > pl.col("first"))
    return pairs.select("row", at=pl.int_ranges("first", "last")).explode("at")


def _load(queries: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """Return sums, counts and averages of load."""
    start = pl.col("at_s").min().over("athlete")
    days = (pl.col("at_s") - start) / DAY_S
    plain = {"n": pl.lit(1), "match": pl.col("match"),
             **{f"{c}_n": pl.col(c).is_not_null().cast(pl.Int64) for c in ("load", *SUMMED)},
             **{c: pl.col(c).fill_null(0.0) for c in ("load", *SUMMED)},
             **{name: pl.col("load").fill_null(0.0) * kept ** (-days)
                for name, kept in KEPT.items()}}  # fmt: skip
    values = sessions.select("row", "athlete", "at_s", "known_s", start=start, **plain)
    log = values.select(
        pl.col(list(plain)).cum_sum().over("athlete"), key=_key("at_s")
    )  # exact: the changelog's order is only needed where a row is late
    pairs = _unknown_pairs(queries, values)
    late = pairs.select("at").with_columns(
        values.select("at_s", *plain).select(pl.all().gather(pairs["row"])),
        age=queries["as_of_s"].gather(pairs["at"]) - values["at_s"].gather(pairs["row"]),
    )
    now = _lookup(queries["key"], log)
    short, long = ["n", "load", "load_n"], [c for c in plain if c not in KEPT]
    wanted = {1: short, 3: short, 7: long, 28: long, 112: ["n", "load_n", *KEPT]}
    sums = {d: _window(queries, log, now, late, d, columns) for d, columns in wanted.items()}
    wide = pl.concat(
        [part.rename(lambda c, d=d: f"{c}:{d}") for d, part in sums.items()], how="horizontal"
    )
    first = values.group_by("athlete").agg(pl.col("start").first())
    base = queries.select("athlete", "as_of_s").join(
        first, on="athlete", how="left", maintain_order="left"
    )
    return wide.with_columns(since=(base["as_of_s"] - base["start"]) / DAY_S).select(
        _load_columns()
    )


def _window(
    queries: pl.DataFrame, log: pl.DataFrame, now: pl.DataFrame, late: pl.DataFrame, days: int,
    columns: list[str],
) -> pl.DataFrame:  # fmt: skip
    """Return the sums of `columns` over the rows of the last `days` days that were known."""
    before = _lookup(queries["key"] - days * DAY_S, log.select("key", *columns), queries["athlete"])
    less = _spread(queries.height, late.filter(pl.col("age") < days * DAY_S), columns)
    return now.select(
        pl.col(c).fill_null(0) - before[c].fill_null(0) - less[c].fill_null(0) for c in columns
    )


def _load_columns() -> list[pl.Expr]:
    def told(c: str, days: int) -> pl.Expr:
        on_record = pl.col("n:112") > pl.col(f"n:{days}")
        empty = (pl.col(f"n:{days}") == 0) & (pl.col(f"{c}_n:28") > 0)
        return on_record & ((pl.col(f"{c}_n:{days}") > 0) | empty)

    def known(c: str, days: int, name: str) -> pl.Expr:
        return pl.when(told(c, days)).then(pl.col(f"{c}:{days}")).alias(name)

    def average(name: str, days: int) -> pl.Expr:
        whole = (pl.col("load_n:112") > 0) & (pl.col("n:112") > pl.col(f"n:{days}"))
        kept = KEPT[name]
        return pl.when(whole).then((1 - kept) * kept ** pl.col("since") * pl.col(f"{name}:112"))

    summed = [(c, days) for days in (7, 28) for c in SUMMED]
    acute, chronic = average("acute", 7), average("chronic", 28)
    both = (acute > 0) & (chronic > 0)
    return [
        *(known("load", d, name) for d, name in zip(WINDOWS_D, LOAD_NAMES, strict=True)),
        *(known(c, d, name) for (c, d), name in zip(summed, SUM_NAMES, strict=True)),
        *(pl.col(f"n:{d}").cast(pl.Float64).alias(f"sessions_{d}d_n") for d in (7, 28)),
        *((pl.col(f"n:{d}") - pl.col(f"load_n:{d}")).cast(pl.Float64)
          .alias(f"unknown_load_sessions_{d}d_n") for d in (7, 28)),
        *(pl.when(pl.col("n:28") > 0).then(pl.col(f"match:{d}").cast(pl.Float64))
          .alias(f"matches_{d}d_n") for d in (7, 28)),
        acute.alias("acute_load_ewma7_au"),
        chronic.alias("chronic_load_ewma28_au"),
        pl.when(both).then(acute.log() - chronic.log()).alias("acute_chronic_load_ln"),
    ]  # fmt: skip


def _previous(queries: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """Return the hours since the session before the clock start, for each landmark in turn.

    A session is there for the query where it ended by the clock start and was known `lag` later.
    The own session is the newest of these, so the second newest is kept as well.
    """
    asked = queries.with_row_index("at").with_columns(lag=pl.col("as_of_s") - pl.col("clock_s"))
    done = []
    for (lag,), part in asked.group_by("lag"):
        seen = pl.max_horizontal("at_s", pl.col("known_s") - lag)
        log = (
            sessions.select("athlete", "at_s", seen=seen)
            .with_columns(key=_key("seen")).sort("key")
            .with_columns(newest=pl.col("at_s").cum_max().over("athlete"))
            .with_columns(before=pl.col("newest").shift(1).over("athlete"))
            .select("key", "newest", second=pl.min_horizontal(
                "at_s", pl.col("before").fill_null(0)).cum_max().over("athlete"))
        )  # fmt: skip
        found = _lookup(part.select(_key("clock_s")).to_series(), log)
        own = sessions["known_s"].gather(part["own"]) <= part["as_of_s"]
        done.append(part.select("at", "clock_s", "as_of_s").hstack(found).with_columns(own=own))
    last = pl.when("own").then("second").otherwise("newest")
    fresh = (last > 0) & (pl.col("as_of_s") - last < HORIZON_S)
    gap = pl.when(fresh).then((pl.col("clock_s") - last) / HOUR_S)
    return pl.concat(done).sort("at").select(previous_session_gap_h=gap)


def _newest_known(rows: pl.DataFrame, group: str) -> pl.DataFrame:
    """Return, in the order of becoming known, the newest of the rows known so far."""
    seen = pl.max_horizontal("at_s", "known_s")
    return (
        rows.select("row", group, seen=seen).with_columns(key=_key("seen", group)).sort("key")
        .select("key", pl.col("row").cum_max().over(group))
    )  # fmt: skip


def _last_night(queries: pl.DataFrame, nights: pl.DataFrame) -> pl.DataFrame:
    """Return last night as deviations from the 28 days up to the clock start, same device."""
    row = _lookup(queries["key"], _newest_known(nights, "athlete"))["row"]
    last = nights.select(pl.all().gather(pl.lit(row)))
    age = queries["as_of_s"] - last["at_s"]
    devices = int(nights["device"].max() or 0) + 1
    of_device = nights.with_columns(series=pl.col("athlete") * devices + pl.col("device"))
    series = queries["athlete"] * devices + last["device"].fill_null(0)
    # Sums of squares are taken from the athlete's first value, so that few digits cancel.
    moved = [(pl.col(c) - pl.col(c).drop_nulls().first().over("series")).alias(c) for c in NIGHTS]
    shifted = of_device.with_columns(moved)
    terms = [
        *(pl.col(c).is_not_null().cast(pl.Int64).alias(f"{c}:n") for c in NIGHTS),
        *(pl.col(c).fill_null(0.0).alias(f"{c}:x") for c in NIGHTS),
        *((pl.col(c).fill_null(0.0) ** 2).alias(f"{c}:xx") for c in NIGHTS),
    ]
    values = shifted.select("row", "athlete", "series", "at_s", "known_s", *terms)
    columns = values.columns[5:]
    log = (
        values.with_columns(key=_key("at_s", "series")).sort("key")
        .select("key", pl.col(columns).cum_sum().over("series"))
    )  # fmt: skip
    clock = series * SPAN_S + queries["clock_s"]
    upto, before = _lookup(clock, log, series), _lookup(clock - BASELINE_S, log, series)
    sums = upto.select(pl.col(c).fill_null(0) - before[c].fill_null(0) for c in columns)
    less = _unknown_nights(queries, values, series, columns)
    fresh = age < LAST_NIGHT_S
    within = (last["at_s"] <= queries["clock_s"]) & (last["at_s"] > queries["clock_s"] - BASELINE_S)
    nothing = pl.Series([None], dtype=row.dtype)
    itself = row.zip_with((fresh & within).fill_null(value=False), nothing)
    own = values.select(pl.col(columns).gather(pl.lit(itself)))
    sums = sums.select(pl.col(c) - less[c].fill_null(0) - own[c].fill_null(0) for c in columns)
    newest = shifted.select(pl.col(NIGHTS).gather(pl.lit(row)))
    z = [_deviation(c).alias(f"last_night_{c}_z") for c in NIGHTS]
    out = pl.concat([sums, newest], how="horizontal").with_columns(fresh=fresh, age=age)
    return out.select(*z, last_night_age_h=pl.when("fresh").then(pl.col("age") / HOUR_S))


def _unknown_nights(
    queries: pl.DataFrame, values: pl.DataFrame, series: pl.Series, columns: list[str]
) -> pl.DataFrame:
    """Return what the nights of each baseline that were not known yet add up to."""
    pairs = _unknown_pairs(queries, values)
    at_s = values["at_s"].gather(pairs["row"])
    clock_s = queries["clock_s"].gather(pairs["at"])
    alike = values["series"].gather(pairs["row"]) == series.gather(pairs["at"])
    pairs = pairs.filter((at_s <= clock_s) & (at_s > clock_s - BASELINE_S) & alike)
    terms = pairs.select("at").hstack(values.select(pl.col(columns).gather(pairs["row"])))
    return _spread(queries.height, terms, columns)


def _spread(height: int, terms: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """Return the sums of `terms` by ``at`` for each of `height` positions, null where none is."""
    total = terms.group_by("at").agg(pl.col(columns).sum()).with_row_index("nth")
    index = pl.DataFrame({"at": pl.int_range(height, eager=True)})
    nth = index.join(total.select("at", "nth"), on="at", how="left", maintain_order="left")["nth"]
    return total.select(pl.col(columns).gather(pl.lit(nth)))


def _deviation(c: str) -> pl.Expr:
    n, x, xx = pl.col(f"{c}:n"), pl.col(f"{c}:x"), pl.col(f"{c}:xx")
    sd = ((xx - x * x / n) / (n - 1)).clip(0).sqrt()
    z = (pl.col(c) - x / n) / pl.max_horizontal(sd, pl.lit(FLOORS[c]))
    return pl.when((n >= 7) & pl.col("fresh")).then(z)


def _markers(queries: pl.DataFrame, markers: pl.DataFrame) -> pl.DataFrame:
    """Return the last value of each marker and its age."""
    columns = []
    for i, name in enumerate(MARKERS):
        rows = markers.filter(pl.col("marker") == i)
        found = _lookup(queries["key"], _newest_known(rows, "athlete"))["row"]
        last = markers.select(pl.col("at_s", "ln").gather(pl.lit(found)))
        age = queries["as_of_s"] - last["at_s"]
        fresh = last.with_columns(age=age).select(
            pl.when(pl.col("age") < MARKER_AGE_S).then("ln").alias(f"{name}_ln"),
            pl.when(pl.col("age") < MARKER_AGE_S)
            .then(pl.col("age") / DAY_S)
            .alias(f"{name}_age_d"),
        )
        columns.append(fresh)
    return pl.concat(columns, how="horizontal")
