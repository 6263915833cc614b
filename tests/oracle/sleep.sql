-- Nights as deviations from the athlete's own nights with the same device.
WITH seen AS (
    SELECT q.q_id, q.as_of_s, q.as_of_day, least(q.clock_s, q.as_of_s) AS clock_s, n.*,
           CASE WHEN n.by_day THEN 24 * (q.as_of_day - n.day)
                ELSE (q.as_of_s - n.wake) / 3600 END AS age_h
    FROM queries q JOIN night_view n ON n.athlete_id = q.athlete_id
    WHERE n.wake <= q.as_of_s AND n.kn <= q.as_of_s AND q.as_of_s - n.wake < 112 * 86400
),
nights AS (
    SELECT *, row_number() OVER (PARTITION BY q_id ORDER BY wake DESC) AS nth
    FROM seen WHERE CASE WHEN by_day THEN coalesce(asleep_min >= 180, true)
                         ELSE in_bed >= 3 * 3600 END
),
newest AS (SELECT q_id, device AS newest_device, age_h FROM nights WHERE nth = 1),
values_of AS (
    SELECT q_id, as_of_s, clock_s, wake, nth, device, name, nullif(x, 'nan') AS x FROM (
        SELECT q_id, as_of_s, clock_s, wake, nth, device,
               coalesce(asleep_min, 'nan') AS asleep,
               coalesce(100 * asleep_min / (in_bed / 60), 'nan') AS efficiency,
               CASE WHEN by_day THEN 'nan' ELSE coalesce(latency_min, 'nan') END AS latency,
               coalesce(awake_min, 'nan') AS awake,
               coalesce(light_min, 'nan') AS light, coalesce(deep_min, 'nan') AS deep,
               coalesce(rem_min, 'nan') AS rem,
               CASE WHEN by_day THEN 'nan' ELSE coalesce(deep_first3h_min, 'nan') END
                   AS deep_first3h,
               CASE WHEN by_day THEN 'nan'
                    ELSE coalesce(deep_first3h_min / nullif(deep_min, 0), 'nan') END
                   AS deep_first3h_share,
               coalesce(wake_clock_h - in_bed / 7200, 'nan') AS midpoint,
               coalesce(ln(hrv_rmssd_ms), 'nan') AS ln_rmssd,
               coalesce(resting_hr_bpm, 'nan') AS resting_hr
        FROM nights
    ) UNPIVOT (x FOR name IN (
        asleep, efficiency, latency, awake, light, deep, rem, deep_first3h, deep_first3h_share,
        midpoint, ln_rmssd, resting_hr
    ))
),
baseline AS (
    SELECT v.q_id, v.name, avg(x) AS mean, greatest(stddev_samp(x), any_value(f.floor)) AS scale
    FROM values_of v
    JOIN newest USING (q_id)
    JOIN floors f USING (name)
    WHERE x IS NOT NULL AND device IS NOT DISTINCT FROM newest_device
          AND wake <= clock_s AND wake > clock_s - 28 * 86400
          AND NOT (nth = 1 AND age_h < 36)
    GROUP BY v.q_id, v.name HAVING count(x) >= 7
),
last AS (
    SELECT v.q_id, 'last_night_' || name || '_z' AS feature, (x - mean) / scale AS z
    FROM values_of v JOIN baseline USING (q_id, name) JOIN newest USING (q_id)
    WHERE nth = 1 AND age_h < 36
),
since AS (
    SELECT v.q_id, 'nights_since_' || name || '_z' AS feature, avg((x - mean) / scale) AS z
    FROM values_of v JOIN baseline USING (q_id, name) JOIN newest USING (q_id)
    WHERE wake > clock_s AND device IS NOT DISTINCT FROM newest_device AND x IS NOT NULL
    GROUP BY v.q_id, name
),
wide AS (
    SELECT q_id, map_from_entries(list((feature, z))) AS many
    FROM (SELECT * FROM last UNION ALL SELECT * FROM since) GROUP BY q_id
),
fortnight AS (
    SELECT q_id,
           CASE WHEN count(DISTINCT day) FILTER (asleep_min IS NOT NULL) >= 10
                THEN 8 * count(DISTINCT day) FILTER (asleep_min IS NOT NULL) - sum(asleep_min) / 60
                END AS debt
    FROM seen WHERE as_of_s - wake < 14 * 86400
          AND q_id IN (SELECT q_id FROM newest) GROUP BY q_id
),
spread AS (
    SELECT q_id, stddev_samp(x) AS sd FROM values_of
    WHERE name = 'midpoint' AND as_of_s - wake < 14 * 86400
    GROUP BY q_id HAVING count(x) >= 7
),
filled AS (
    SELECT n.athlete_id, n.wake, n.kn, e.st, least(e.en, n.wake) AS en, e.stage,
           sum(CASE WHEN e.stage <> 'unknown' THEN least(e.en, n.wake) - e.st END)
               OVER (PARTITION BY n.athlete_id, n.onset) / (n.wake - n.onset) AS share
    FROM night_view n JOIN epoch_view e ON e.athlete_id = n.athlete_id
    WHERE e.st >= n.onset AND e.st < n.wake AND NOT n.by_day AND n.in_bed >= 3 * 3600
),
asleep AS (
    SELECT athlete_id, wake, kn, st, en, sum(en - st) OVER (PARTITION BY athlete_id, wake) AS total
    FROM filled WHERE share >= 0.9 AND stage IN ('light', 'deep', 'rem', 'asleep')
),
pair AS (
    SELECT a.athlete_id, a.wake, greatest(any_value(a.kn), any_value(b.kn)) AS kn,
           1 - (any_value(a.total) + any_value(b.total)
                - 2 * sum(greatest(least(a.en, b.en + 86400) - greatest(a.st, b.st + 86400), 0)))
               / 86400 AS same
    FROM asleep a JOIN asleep b ON b.athlete_id = a.athlete_id
    WHERE a.wake - b.wake BETWEEN 12 * 3600 AND 36 * 3600
    GROUP BY a.athlete_id, a.wake, b.wake
),
regular AS (
    SELECT q.q_id, 100 * (2 * avg(p.same) - 1) AS sri
    FROM queries q JOIN pair p ON p.athlete_id = q.athlete_id
    WHERE p.wake <= q.as_of_s AND p.kn <= q.as_of_s AND q.as_of_s - p.wake < 14 * 86400
    GROUP BY q.q_id HAVING count(*) >= 7
),
counts AS (SELECT q_id, count(*) FILTER (wake > clock_s) AS n FROM nights GROUP BY q_id)
SELECT q.q_id, w.many,
       CASE WHEN n.age_h < 36 THEN n.age_h END AS last_night_age_h,
       coalesce(c.n, 0) AS nights_since_n, f.debt AS sleep_debt_14d_h, s.sd AS midpoint_sd_14d_h,
       CASE WHEN n.q_id IS NOT NULL THEN r.sri END AS sleep_regularity_index_14d
FROM queries q
LEFT JOIN newest n ON n.q_id = q.q_id
LEFT JOIN wide w ON w.q_id = q.q_id
LEFT JOIN counts c ON c.q_id = q.q_id
LEFT JOIN fortnight f ON f.q_id = q.q_id
LEFT JOIN spread s ON s.q_id = q.q_id
LEFT JOIN regular r ON r.q_id = q.q_id
ORDER BY q.q_id
