-- Food, person, tests before the clock start and earlier events.
WITH food AS (
    SELECT q.q_id, f.*, q.as_of_s - f.at_s AS age, a.body_mass_kg AS mass, a.fat_free_mass_kg AS lean,
           row_number() OVER (PARTITION BY q.q_id ORDER BY f.at_s DESC) AS nth,
           (SELECT CASE WHEN count(*) = count(s.energy_kcal) THEN coalesce(sum(s.energy_kcal), 0) END
            FROM session_view s
            WHERE s.athlete_id = q.athlete_id AND s.day = f.day AND s.kn <= q.as_of_s
                  AND s.en <= q.as_of_s) AS spent
    FROM queries q
    JOIN food_view f ON f.athlete_id = q.athlete_id
    JOIN athlete_view a ON a.athlete_id = q.athlete_id
    WHERE f.at_s <= q.as_of_s AND f.kn <= q.as_of_s AND q.as_of_s - f.at_s < 3 * 86400
),
eaten AS (
    SELECT q_id,
           arg_max(carbohydrate_g / mass, at_s) FILTER (carbohydrate_g IS NOT NULL) AS cho,
           arg_max(protein_g / mass, at_s) FILTER (protein_g IS NOT NULL) AS protein,
           CASE WHEN count(carbohydrate_g) > 1 THEN avg(carbohydrate_g / mass) END AS cho_3d,
           CASE WHEN count(protein_g) > 1 THEN avg(protein_g / mass) END AS protein_3d,
           max((energy_kcal - spent) / lean) FILTER (nth = 1) AS ea,
           min(age) / 3600 AS age_h
    FROM food GROUP BY q_id
),
tests AS (
    SELECT q.q_id, q.clock_s, q.clock_day, q.index_test, t.*, q.clock_s - t.at_s AS before_s,
           CASE WHEN t.by_day THEN 24 * (q.clock_day - t.day)
                ELSE (q.clock_s - t.at_s) / 3600 END AS gap_h,
           row_number() OVER (PARTITION BY q.q_id, t.test ORDER BY t.at_s DESC) AS nth
    FROM queries q JOIN test_view t ON t.athlete_id = q.athlete_id
    WHERE t.at_s < q.clock_s AND t.at_s <= q.as_of_s AND t.kn <= q.as_of_s
),
deficits AS (
    SELECT x.*, CASE WHEN d.lower THEN x.value - b.mean ELSE b.mean - x.value END
                * CASE WHEN d.in_pct THEN 100 / b.mean ELSE 1 END AS deficit
    FROM tests x JOIN baselines b ON b.q_id = x.q_id JOIN directions d ON d.test = x.test
    WHERE x.test = x.index_test AND before_s < 28 * 86400
),
index AS (
    SELECT q_id, max(deficit) FILTER (nth = 1) AS last, max(gap_h) FILTER (nth = 1) AS age,
           avg(deficit) FILTER (before_s < 7 * 86400) AS week, count(*) AS n
    FROM deficits GROUP BY q_id
),
items AS (
    SELECT l.q_id, l.test, any_value(l.gap_h) AS age_h,
           any_value(l.value) - max(p.value) FILTER (p.nth = 2 AND l.at_s - p.at_s < 72 * 3600)
               AS change,
           CASE WHEN count(p.value) >= 5 THEN any_value(l.value) - avg(p.value) END AS dev_28d,
           CASE WHEN count(p.value) >= 5 THEN any_value(l.value)
               - sum(p.value * pow(0.5, floor((l.at_s - p.at_s) / 3600) / 168))
               / sum(pow(0.5, floor((l.at_s - p.at_s) / 3600) / 168)) END AS dev_ewm
    FROM tests l
    LEFT JOIN tests p ON p.q_id = l.q_id AND p.test = l.test AND p.nth > 1
                         AND l.at_s - p.at_s < 28 * 86400
    WHERE l.nth = 1 AND l.before_s < 72 * 3600
    GROUP BY l.q_id, l.test
),
wide AS (
    SELECT q_id, map_from_entries(list((test || '_' || name, x))) AS many FROM (
        SELECT q_id, test, coalesce(age_h, 'nan') AS age_h, coalesce(change, 'nan') AS change,
               coalesce(dev_28d, 'nan') AS dev_28d, coalesce(dev_ewm, 'nan') AS dev_ewm
        FROM items WHERE list_contains($items, test)
    ) UNPIVOT (x FOR name IN (age_h, change, dev_28d, dev_ewm)) GROUP BY q_id
),
events AS (
    SELECT q.q_id,
           count(*) FILTER (e.kind = 'injury' AND q.clock_s - e.at_s < 365 * 86400) AS injuries,
           count(*) FILTER (e.kind = 'systemic' AND q.clock_s - e.at_s < 365 * 86400) AS systemic,
           count(*) FILTER (coalesce(e.resolved_s > q.as_of_s, true)
                            AND q.clock_s - e.at_s < 365 * 86400) AS open,
           min(q.as_of_s - e.resolved_s) FILTER (e.resolved_s <= q.as_of_s) / 86400 AS since
    FROM queries q JOIN event_view e ON e.athlete_id = q.athlete_id
    WHERE e.at_s < q.clock_s AND e.at_s <= q.as_of_s AND e.kn <= q.as_of_s
    GROUP BY q.q_id
)
SELECT q.q_id, f.cho AS carbohydrate_last_day_g_kg, f.cho_3d AS carbohydrate_3d_g_kg,
       f.protein AS protein_last_day_g_kg, f.protein_3d AS protein_3d_g_kg,
       f.ea AS energy_availability_kcal_kg, f.age_h AS nutrition_age_h,
       nullif(list_position($sexes, a.sex), 3) - 1 AS sex,
       year(make_date(q.as_of_day::INT)) - a.birth_year AS age_y, a.training_tier, a.body_mass_kg,
       CASE WHEN a.fat_free_mass_kg <= a.body_mass_kg
            THEN a.fat_free_mass_kg / a.body_mass_kg END AS fat_free_share,
       a.stature_cm, a.hormonal_contraception::INT AS hormonal_contraception,
       i.last AS index_deficit_last, i.week AS index_deficit_7d, i.age AS index_age_h,
       CASE WHEN q.index_test IS NOT NULL THEN coalesce(i.n, 0) END AS index_tests_28d_n,
       CASE WHEN q.index_test IS NOT NULL THEN b.tests_n END AS baseline_tests_n,
       b.se * CASE WHEN d.in_pct THEN 100 / b.mean ELSE 1 END AS baseline_se,
       w.many,
       coalesce(e.injuries, 0) AS injuries_365d_n, coalesce(e.systemic, 0) AS systemic_365d_n,
       coalesce(e.open, 0) AS open_events_n,
       CASE WHEN e.since < 365 THEN e.since END AS since_resolved_d,
       (q.as_of_s - q.clock_s) / 3600 AS landmark_h,
       isodow(make_date(q.clock_day::INT)) - 1 AS clock_weekday
FROM queries q
JOIN athlete_view a ON a.athlete_id = q.athlete_id
LEFT JOIN eaten f ON f.q_id = q.q_id
LEFT JOIN index i ON i.q_id = q.q_id
LEFT JOIN baselines b ON b.q_id = q.q_id
LEFT JOIN directions d ON d.test = q.index_test
LEFT JOIN wide w ON w.q_id = q.q_id
LEFT JOIN events e ON e.q_id = q.q_id
ORDER BY q.q_id
