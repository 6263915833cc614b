-- The episode's own session, with both TRIMPs.
WITH rest AS (
    SELECT q.q_id, avg(n.resting_hr_bpm) AS rest
    FROM queries q
    JOIN session_view s ON s.session_id = q.session_id
    JOIN night_view n ON n.athlete_id = q.athlete_id
    WHERE n.wake <= s.st AND n.wake > s.st - 28 * 86400 AND n.kn <= q.as_of_s
    GROUP BY q.q_id
),
effort AS (
    SELECT q.q_id, a.sex, s.duration, (s.mean_hr_bpm - r.rest) / (a.hr_max_bpm - r.rest) AS r
    FROM queries q
    JOIN session_view s ON s.session_id = q.session_id
    JOIN athlete_view a ON a.athlete_id = q.athlete_id
    JOIN rest r ON r.q_id = q.q_id
    WHERE a.hr_max_bpm > r.rest
),
trimp AS (
    SELECT q_id, CASE WHEN sex = 'male' THEN duration * r * 0.64 * exp(1.92 * r)
                      WHEN sex = 'female' THEN duration * r * 0.86 * exp(1.67 * r) END AS banister
    FROM effort WHERE r BETWEEN 0 AND 1
)
SELECT q.q_id, s.load AS session_load_au, s.duration AS session_duration_min,
       s.session_rpe, s.distance_m AS session_distance_m,
       s.high_speed_distance_m AS session_high_speed_distance_m,
       s.accelerations_n AS session_accelerations_n, s.decelerations_n AS session_decelerations_n,
       s.collisions_n AS session_collisions_n, s.jumps_n AS session_jumps_n,
       s.tonnage_kg AS session_tonnage_kg, s.hard_sets_n AS session_hard_sets_n,
       s.reps_in_reserve AS session_reps_in_reserve,
       s.velocity_loss_pct AS session_velocity_loss_pct,
       s.eccentric_reps_n AS session_eccentric_reps_n, s.mean_hr_bpm AS session_mean_hr_bpm,
       s.energy_kcal AS session_energy_kcal,
       list_position($modalities, s.modality) - 1 AS session_modality,
       list_position($kinds, s.kind) - 1 AS session_kind,
       s.hr_zone1_min + 2 * s.hr_zone2_min + 3 * s.hr_zone3_min + 4 * s.hr_zone4_min
           + 5 * s.hr_zone5_min AS session_edwards_trimp_au,
       CASE WHEN s.session_id IS NOT NULL THEN t.banister END AS session_banister_trimp_au,
       CASE WHEN s.time_precision = 'minute' THEN s.start_clock_h END AS session_start_clock_h
FROM queries q
LEFT JOIN session_view s ON s.session_id = q.session_id AND s.kn <= q.as_of_s AND s.en <= q.as_of_s
LEFT JOIN trimp t ON t.q_id = q.q_id
ORDER BY q.q_id
