-- Every label of a cohort from its tables alone: (episode, test, hours, deficit, error, shared).
-- $component, $test: what is asked; $rest_s: rest before a test counts as rested; $lower, $in_pct:
-- direction and scale; $between, $trial, $trials: its typical error; $zone, $day: the local clock
-- and how much better the test turns out at 17:00 than on average over the day.
WITH s AS (
    SELECT session_id, athlete_id, floor(epoch(started_at))::BIGINT AS st,
           floor(epoch(ended_at))::BIGINT AS en, floor(epoch(known_at))::BIGINT AS kn,
           coalesce(nn(duration_min), CASE WHEN time_precision <> 'day'
                    THEN (epoch(ended_at) - epoch(started_at)) / 60 END) AS minutes,
           coalesce(nn(session_load_au), nn(session_rpe) * minutes) AS load
    FROM sessions
), t AS (
    SELECT athlete_id, floor(epoch(measured_at))::BIGINT AS at_s, value, rested,
           CASE WHEN time_precision IS DISTINCT FROM 'day'
                THEN cos(2 * pi() * (epoch(date_trunc('second', measured_at AT TIME ZONE $zone))
                                     % 86400 / 3600 - 17) / 24) END AS daytime,
           floor(epoch(known_at))::BIGINT AS kn,
           sqrt($between ** 2 + $trial ** 2 / coalesce(nn(trials_n), $trials)) AS error
    FROM tests WHERE test = $test
), flagged AS (  -- the sessions of each episode's athlete, as all of them became known
    SELECT *, load IS NULL OR earlier IS NULL OR load >= 0.5 * earlier AS loading
    FROM (SELECT *, median(load) OVER (PARTITION BY athlete_id ORDER BY en
                                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier
          FROM s)
), flagged_then AS (  -- and as they were known at its clock start
    SELECT *, load IS NULL OR earlier IS NULL OR load >= 0.5 * earlier AS loading
    FROM (SELECT e.session_id AS episode, s.*,
                 median(s.load) OVER (PARTITION BY e.session_id ORDER BY s.en
                                      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier
          FROM s AS e JOIN s USING (athlete_id) WHERE s.kn <= e.en)
), follow_up AS (
    SELECT e.session_id AS episode, e.athlete_id, e.en AS clock_s,
           least(e.en + 336 * 3600,
                 coalesce((SELECT min(n.st) FROM flagged AS n WHERE n.athlete_id = e.athlete_id
                           AND n.loading AND n.st >= e.en AND n.en > e.en), e.en + 336 * 3600)) AS until_s
    FROM s AS e
), candidate AS (
    SELECT f.episode, t.*,
           (SELECT max(p.en) FROM flagged_then AS p WHERE p.episode = f.episode AND p.loading
            AND p.st < t.at_s) AS last_en
    FROM follow_up AS f JOIN t ON t.athlete_id = f.athlete_id AND t.at_s < f.clock_s
         AND f.clock_s - t.at_s <= 120 * 86400 AND t.kn <= f.clock_s
), baseline AS (
    SELECT episode, avg(value) AS mean,
           CASE WHEN count(daytime) = count(*) THEN avg(daytime) END AS daytime,
           sqrt(sum(CASE WHEN $in_pct THEN (error / 100 * value) ** 2 ELSE error ** 2 END))
               / count(*) AS se
    FROM (SELECT *, row_number() OVER (PARTITION BY episode ORDER BY at_s DESC) AS place
          FROM candidate WHERE coalesce(rested, false) OR at_s - last_en >= $rest_s)
    WHERE place <= 6 GROUP BY episode HAVING count(*) >= 3
)
SELECT f.episode, $component AS component, (t.at_s - f.clock_s) / 3600 AS hours,
       (b.mean - t.value) * scale + $day * coalesce(t.daytime - b.daytime, 0) AS deficit, t.error, abs(b.se * scale) AS shared
FROM follow_up AS f JOIN baseline AS b USING (episode)
     JOIN t ON t.athlete_id = f.athlete_id AND t.at_s BETWEEN f.clock_s AND f.until_s,
     LATERAL (SELECT CASE WHEN $lower THEN -1 ELSE 1 END
                     * CASE WHEN $in_pct THEN 100 / b.mean ELSE 1 END AS scale)
