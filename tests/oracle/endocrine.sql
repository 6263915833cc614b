-- Last laboratory values and ratios, one row per query and series.
WITH lab AS (
    SELECT athlete_id, drawn, kn, analyte AS name, specimen, coalesce(below_loq, false) AS censored,
           by_day, day,
           CASE WHEN awake IS NOT NULL AND drawn >= awake AND drawn - awake < 86400 AND NOT by_day
                THEN (drawn - awake) / 3600 END AS awake_h,
           CASE WHEN specimen = 'urine' THEN 0
                WHEN analyte = 'cortisol' AND specimen = 'saliva' THEN 0.85
                WHEN analyte = 'cortisol' THEN 0.45
                WHEN analyte IN ('testosterone', 'free_testosterone')
                THEN CASE sex WHEN 'male' THEN 0.13 WHEN 'female' THEN 0.06 ELSE 0.095 END
                ELSE 0 END AS amplitude,
           value
    FROM lab_view JOIN athlete_view USING (athlete_id)
    WHERE value > 0
),
corrected AS (
    SELECT * EXCLUDE (value, awake_h, amplitude),
           ln(CASE WHEN censored THEN value / sqrt(2) ELSE value END)
           - coalesce(amplitude * (cos(2 * pi() * (awake_h - 0.5) / 24)
                                   - cos(2 * pi() * 0.5 / 24)), 0) AS ln,
           amplitude > 0 AND awake_h IS NULL AS uncorrected,
           drawn AS t_drawn, drawn AS b_drawn, drawn AS c_drawn, value
    FROM lab
),
free AS (  -- the positive root of n f^2 + (n + shbg - t) f - t = 0, in nmol/L
    SELECT t.athlete_id, greatest(t.drawn, b.drawn) AS drawn, greatest(t.kn, b.kn) AS kn,
           t.specimen, t.by_day, t.uncorrected, t.drawn AS t_drawn, b.drawn AS b_drawn,
           CASE WHEN b.drawn > t.drawn THEN b.day ELSE t.day END AS day,
           1 + 36000 * 43 / 69000 AS n, n + b.value - t.value AS p,
           ln((sqrt(p * p + 4 * n * t.value) - p) / (2 * n)) + t.ln - ln(t.value) AS ln
    FROM corrected t JOIN corrected b
      ON b.athlete_id = t.athlete_id AND b.specimen = t.specimen
         AND abs(b.drawn - t.drawn) <= 1800 AND b.by_day = t.by_day
    WHERE t.name = 'testosterone' AND b.name = 'shbg' AND NOT t.censored AND NOT b.censored
          AND t.specimen IN ('serum', 'plasma', 'capillary')
),
ratios AS (
    SELECT t.athlete_id, greatest(t.drawn, c.drawn) AS drawn, greatest(t.kn, c.kn) AS kn,
           CASE t.name WHEN 'testosterone' THEN 'tc' ELSE 'free_tc' END AS name, t.specimen,
           false AS censored, t.ln - c.ln AS ln, t.uncorrected OR c.uncorrected AS uncorrected,
           t.drawn AS t_drawn, t.drawn AS b_drawn, c.drawn AS c_drawn, t.by_day,
           CASE WHEN c.drawn > t.drawn THEN c.day ELSE t.day END AS day
    FROM corrected t JOIN corrected c
      ON c.athlete_id = t.athlete_id AND c.specimen = t.specimen
         AND abs(c.drawn - t.drawn) <= 1800 AND c.by_day = t.by_day
    WHERE t.name IN ('testosterone', 'free_testosterone') AND c.name = 'cortisol'
          AND NOT t.censored AND NOT c.censored
),
free_ratios AS (
    SELECT f.athlete_id, greatest(f.drawn, c.drawn) AS drawn, greatest(f.kn, c.kn) AS kn,
           'free_tc' AS name, f.specimen || ' calculated' AS specimen, false AS censored,
           f.ln - c.ln AS ln, f.uncorrected OR c.uncorrected AS uncorrected,
           f.t_drawn, f.b_drawn, c.drawn AS c_drawn, f.by_day,
           CASE WHEN c.drawn > f.drawn THEN c.day ELSE f.day END AS day
    FROM free f JOIN corrected c
      ON c.athlete_id = f.athlete_id AND c.specimen = f.specimen
         AND abs(c.drawn - f.t_drawn) <= 1800 AND c.by_day = f.by_day
    WHERE c.name = 'cortisol' AND NOT c.censored
),
samples AS (
    SELECT * EXCLUDE (value) FROM corrected
    UNION ALL BY NAME SELECT * FROM ratios UNION ALL BY NAME SELECT * FROM free_ratios
),
seen AS (
    SELECT q.q_id, q.as_of_s, least(q.clock_s, q.as_of_s) AS clock_s, x.*,
           NOT x.by_day AND EXISTS (
               SELECT 1 FROM session_view s
               WHERE s.athlete_id = q.athlete_id AND s.kn <= q.as_of_s
                     AND s.time_precision = 'minute'
                     AND ((s.st <= x.t_drawn AND s.en > x.t_drawn - 7200)
                          OR (s.st <= x.b_drawn AND s.en > x.b_drawn - 7200)
                          OR (s.st <= x.c_drawn AND s.en > x.c_drawn - 7200))
           ) AS after
    FROM queries q JOIN samples x ON x.athlete_id = q.athlete_id
    WHERE x.drawn <= q.as_of_s AND x.kn <= q.as_of_s
),
ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY q_id, name
        ORDER BY drawn DESC, list_position($specimens, specimen), t_drawn DESC, b_drawn DESC,
                 c_drawn DESC) AS nth
    FROM seen JOIN series USING (name)
    WHERE NOT (resting AND after) AND as_of_s - drawn < max_age_d * 86400
),
last AS (SELECT * FROM ranked WHERE nth = 1),
usual AS (
    SELECT l.q_id, l.name, avg(b.ln) AS mean, count(*) AS n
    FROM last l
    JOIN (
        SELECT s.*, row_number() OVER (
            PARTITION BY s.q_id, s.name
            ORDER BY s.drawn DESC, s.t_drawn DESC, s.b_drawn DESC, s.c_drawn DESC) AS back
        FROM seen s JOIN last l ON l.q_id = s.q_id AND l.name = s.name
        WHERE s.drawn < l.drawn AND s.drawn <= s.clock_s AND NOT s.after AND NOT s.censored
              AND s.specimen = l.specimen AND l.drawn - s.drawn < 365 * 86400
    ) b ON b.q_id = l.q_id AND b.name = l.name
    WHERE back <= 12
    GROUP BY l.q_id, l.name HAVING count(*) >= 3
),
flag AS (
    SELECT q_id, name, after, drawn FROM (
        SELECT *, row_number() OVER (
            PARTITION BY q_id, name ORDER BY drawn DESC, list_position($specimens, specimen)) AS nth
        FROM seen JOIN series USING (name)
        WHERE name IN ('testosterone', 'cortisol') AND as_of_s - drawn < max_age_d * 86400
    ) WHERE nth = 1
)
SELECT l.q_id, l.name, l.ln, u.mean, u.n, l.uncorrected,
       l.specimen NOT IN ('saliva', 'urine') AS blood,
       CASE WHEN l.by_day THEN q.as_of_day - l.day ELSE (l.as_of_s - l.drawn) / 86400 END AS age_d,
       coalesce(a.hormonal_contraception, false) AS pill
FROM last l
JOIN queries q ON q.q_id = l.q_id
JOIN athlete_view a ON a.athlete_id = q.athlete_id
LEFT JOIN usual u ON u.q_id = l.q_id AND u.name = l.name
UNION ALL
SELECT q_id, 'after_exercise', max(after::INT) FILTER (drawn = newest), NULL, NULL, false, false,
       NULL, false
FROM (SELECT *, max(drawn) OVER (PARTITION BY q_id) AS newest FROM flag) GROUP BY q_id
