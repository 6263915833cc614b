-- Load, and the sessions before the clock start.
WITH s AS (
    SELECT session_id, athlete_id, en, kn, day, time_precision = 'day' AS by_day, modality,
           (kind IN ('match', 'race'))::INT AS match_n, load, eccentric_reps_n, duration,
           distance_m, high_speed_distance_m, accelerations_n, decelerations_n, collisions_n,
           jumps_n, tonnage_kg, hard_sets_n
    FROM session_view
),
seen AS (
    SELECT q.q_id, q.as_of_s, q.as_of_day, q.as_of_s - s.en AS age, s.*
    FROM queries q JOIN s ON s.athlete_id = q.athlete_id
    WHERE s.en <= q.as_of_s AND s.kn <= q.as_of_s AND q.as_of_s - s.en < 112 * 86400
),
summed AS (
    SELECT q_id, max(age) AS record_s,
           count(*) FILTER (age < 7 * 86400) AS sessions_7d_n,
           count(*) FILTER (age < 28 * 86400) AS sessions_28d_n,
           count(*) FILTER (age < 7 * 86400 AND load IS NULL) AS unknown_load_sessions_7d_n,
           count(*) FILTER (age < 28 * 86400 AND load IS NULL) AS unknown_load_sessions_28d_n,
           count(*) FILTER (age < 28 * 86400 AND match_n IS NOT NULL) AS kinds,
           sum(match_n) FILTER (age < 7 * 86400) AS matches_7d_n,
           sum(match_n) FILTER (age < 28 * 86400) AS matches_28d_n,
           count(load) AS loads,
           sum(load * pow(0.75, floor(age / 3600) / 24)) * 0.25 AS acute,
           sum(load * pow(27.0 / 29, floor(age / 3600) / 24)) * 2 / 29 AS chronic,
           sum(load * exp(-floor(age / 3600) / 24 / 42)) AS fitness,
           sum(load * exp(-floor(age / 3600) / 24 / 7)) AS fatigue
    FROM seen GROUP BY q_id
),
long AS (
    SELECT q_id, age, name, x FROM (
        SELECT q_id, age, load, coalesce(duration, 'nan') AS duration_min,
               coalesce(distance_m, 'nan') AS distance_m,
               coalesce(high_speed_distance_m, 'nan') AS high_speed_distance_m,
               coalesce(accelerations_n, 'nan') AS accelerations_n,
               coalesce(decelerations_n, 'nan') AS decelerations_n,
               coalesce(collisions_n, 'nan') AS collisions_n, coalesce(jumps_n, 'nan') AS jumps_n,
               coalesce(tonnage_kg, 'nan') AS tonnage_kg,
               coalesce(hard_sets_n, 'nan') AS hard_sets_n,
               coalesce(eccentric_reps_n, 'nan') AS eccentric_reps_n,
               coalesce(load, 'nan') AS load_au
        FROM seen
    ) UNPIVOT (x FOR name IN (
        duration_min, distance_m, high_speed_distance_m, accelerations_n, decelerations_n,
        collisions_n, jumps_n, tonnage_kg, hard_sets_n, eccentric_reps_n, load_au
    ))
),
windows AS (SELECT unnest([1, 3, 7, 28]) AS w),
sums AS (
    SELECT q_id, name, w, max(age) AS record_s,
           count(*) FILTER (age < w * 86400) AS sessions,
           count(*) FILTER (age < w * 86400 AND NOT isnan(x)) AS known,
           count(*) FILTER (age < 28 * 86400 AND NOT isnan(x)) AS known_28d,
           coalesce(sum(x) FILTER (age < w * 86400 AND NOT isnan(x)), 0) AS total
    FROM long, windows
    WHERE name = 'load_au' OR w >= 7
    GROUP BY q_id, name, w
),
wide AS (
    SELECT q_id, map_from_entries(list((
               regexp_replace(name, '_([a-z]+)$', '_sum_' || w || 'd_\1'),
               CASE WHEN record_s >= w * 86400
                         AND (known > 0 OR (sessions = 0 AND known_28d > 0)) THEN total END
           ))) AS many
    FROM sums GROUP BY q_id
),
days AS (
    SELECT q_id, as_of_day - day AS back, sum(load) AS load, count(*) - count(load) AS unknown
    FROM seen GROUP BY q_id, back
),
week AS (
    SELECT q_id, bool_or(back > 7) AS earlier,
           coalesce(sum(unknown) FILTER (back BETWEEN 1 AND 7), 0) AS unknown,
           list_resize(list(coalesce(load, 0)) FILTER (back BETWEEN 1 AND 7), 7, 0) AS loads
    FROM days GROUP BY q_id
),
foster AS (
    SELECT q_id, list_avg(loads) / list_stddev_samp(loads) AS monotony, list_sum(loads) AS total,
           earlier AND unknown = 0 AND list_stddev_samp(loads) > 1e-6 AS whole
    FROM week
),
before AS (
    SELECT q.q_id, q.clock_s, q.clock_day, s.*, o.by_day AS own_by_day, o.modality AS own_modality,
           o.load AS own_load,
           CASE WHEN s.by_day OR coalesce(o.by_day, false) THEN 24 * (q.clock_day - s.day)
                ELSE (q.clock_s - s.en) / 3600 END AS gap_h,
           row_number() OVER (PARTITION BY q.q_id ORDER BY s.en DESC, s.session_id DESC) AS nth,
           median(s.load) OVER (PARTITION BY q.q_id) AS middle,
           count(s.load) OVER (PARTITION BY q.q_id) AS known
    FROM queries q
    LEFT JOIN s o ON o.session_id = q.session_id AND o.kn <= q.as_of_s
    JOIN s ON s.athlete_id = q.athlete_id
    WHERE s.en <= q.clock_s AND s.en <= q.as_of_s AND s.kn <= q.as_of_s
          AND q.as_of_s - s.en < 112 * 86400 AND s.session_id IS DISTINCT FROM q.session_id
),
previous AS (
    SELECT q_id,
           any_value(CASE WHEN known >= 3 AND own_load > 0 AND middle > 0
                          THEN ln(own_load / middle) END) AS session_load_vs_median_ln,
           max(gap_h) FILTER (nth = 1) AS previous_session_gap_h,
           max(load) FILTER (nth = 1) AS previous_session_load_au,
           arg_min(gap_h, nth) FILTER (load IS NULL OR load >= 0.5 * middle)
               AS previous_loading_gap_h,
           arg_min(coalesce(load, 'nan'), nth) FILTER (load IS NULL OR load >= 0.5 * middle)
               AS previous_loading_load_au,
           arg_min(gap_h, nth) FILTER (modality = own_modality) AS same_modality_gap_h,
           count(*) FILTER (modality = own_modality AND clock_s - en < 28 * 86400) AS same_n,
           sum(eccentric_reps_n) FILTER (clock_s - en < 28 * 86400) AS eccentric_reps_before_28d_n,
           count(*) FILTER (day = clock_day) AS same_day
    FROM before GROUP BY q_id
)
SELECT q.q_id, w.many,
       coalesce(a.sessions_7d_n, 0) AS sessions_7d_n,
       coalesce(a.sessions_28d_n, 0) AS sessions_28d_n,
       coalesce(a.unknown_load_sessions_7d_n, 0) AS unknown_load_sessions_7d_n,
       coalesce(a.unknown_load_sessions_28d_n, 0) AS unknown_load_sessions_28d_n,
       coalesce(a.matches_7d_n, CASE WHEN a.kinds > 0 AND a.sessions_7d_n = 0 THEN 0 END)
           AS matches_7d_n,
       a.matches_28d_n,
       CASE WHEN a.record_s >= 7 * 86400 THEN a.acute END AS acute_load_ewma7_au,
       CASE WHEN a.record_s >= 28 * 86400 THEN a.chronic END AS chronic_load_ewma28_au,
       CASE WHEN a.record_s >= 28 * 86400 AND a.acute > 0 AND a.chronic > 0
            THEN ln(a.acute / a.chronic) END AS acute_chronic_load_ln,
       CASE WHEN a.record_s >= 42 * 86400 THEN a.fitness END AS banister_fitness_au,
       CASE WHEN a.record_s >= 7 * 86400 THEN a.fatigue END AS banister_fatigue_au,
       CASE WHEN f.whole THEN f.monotony END AS monotony_7d,
       CASE WHEN f.whole THEN f.monotony * f.total END AS strain_7d_au,
       a.record_s / 86400 AS load_record_d,
       p.session_load_vs_median_ln, p.previous_session_gap_h, p.previous_session_load_au,
       p.previous_loading_gap_h, p.previous_loading_load_au, p.same_modality_gap_h,
       CASE WHEN o.modality IS NOT NULL THEN coalesce(p.same_n, 0) END AS same_modality_28d_n,
       p.eccentric_reps_before_28d_n, coalesce(p.same_day, 0) AS same_day_sessions_before_n
FROM queries q
LEFT JOIN s o ON o.session_id = q.session_id AND o.kn <= q.as_of_s
LEFT JOIN summed a ON a.q_id = q.q_id
LEFT JOIN wide w ON w.q_id = q.q_id
LEFT JOIN foster f ON f.q_id = q.q_id
LEFT JOIN previous p ON p.q_id = q.q_id
ORDER BY q.q_id
