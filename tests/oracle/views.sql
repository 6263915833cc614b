-- The tables of the cohort with times in seconds, missing numbers as NULL and local calendar days.
CREATE MACRO nn(x) AS CASE WHEN isnan(x) THEN NULL ELSE x END;
CREATE MACRO secs(t) AS floor(epoch(t))::BIGINT;
CREATE MACRO local_day(t) AS (epoch(date_trunc('day', timezone(getvariable('zone'), t))) / 86400)::BIGINT;
CREATE MACRO clock_h(t) AS epoch(timezone(getvariable('zone'), t)) % 86400 / 3600;
CREATE TABLE session_view AS
    SELECT COLUMNS(lambda c: c IN ('session_id', 'athlete_id', 'kind', 'modality', 'time_precision')),
           nn(COLUMNS(lambda c: c IN (
               'session_rpe', 'distance_m', 'high_speed_distance_m', 'accelerations_n',
               'decelerations_n', 'collisions_n', 'jumps_n', 'tonnage_kg', 'hard_sets_n',
               'eccentric_reps_n', 'reps_in_reserve', 'velocity_loss_pct', 'mean_hr_bpm',
               'hr_zone1_min', 'hr_zone2_min', 'hr_zone3_min', 'hr_zone4_min', 'hr_zone5_min',
               'energy_kcal'))),
           secs(started_at) AS st, secs(ended_at) AS en, secs(known_at) AS kn,
           local_day(ended_at) AS day, clock_h(started_at) AS start_clock_h,
           coalesce(nn(duration_min), CASE WHEN time_precision = 'minute'
                    THEN (secs(ended_at) - secs(started_at)) / 60 END) AS duration,
           coalesce(nn(session_load_au), nn(session_rpe) * duration) AS load
    FROM sessions;
CREATE TABLE night_view AS
    SELECT athlete_id, device, secs(onset_at) AS onset, secs(wake_at) AS wake, secs(known_at) AS kn,
           local_day(wake_at) AS day, clock_h(wake_at) AS wake_clock_h,
           coalesce(time_precision = 'day', false) AS by_day,
           CASE WHEN NOT by_day THEN secs(wake_at) - secs(onset_at) END AS in_bed,
           nn(COLUMNS(lambda c: c LIKE '%\_min' ESCAPE '\' OR c IN ('hrv_rmssd_ms', 'resting_hr_bpm')))
    FROM sleep;
CREATE TABLE epoch_view AS
    SELECT athlete_id, stage, secs(started_at) AS st,
           least(st + duration_s::BIGINT,
                 coalesce(lead(secs(started_at)) OVER (PARTITION BY athlete_id ORDER BY started_at),
                          st + duration_s::BIGINT)) AS en
    FROM sleep_epochs;
CREATE TABLE lab_view AS
    SELECT athlete_id, analyte, specimen, below_loq, value, secs(drawn_at) AS drawn,
           secs(awake_at) AS awake, secs(known_at) AS kn,
           coalesce(time_precision = 'day', false) AS by_day, local_day(drawn_at) AS day
    FROM labs;
CREATE TABLE test_view AS
    SELECT athlete_id, test, value, secs(measured_at) AS at_s, secs(known_at) AS kn,
           time_precision = 'day' AS by_day, local_day(measured_at) AS day
    FROM tests;
CREATE TABLE food_view AS
    SELECT athlete_id, nn(energy_kcal) AS energy_kcal, nn(carbohydrate_g) AS carbohydrate_g,
           nn(protein_g) AS protein_g, secs(known_at) AS kn, (epoch(date) / 86400)::BIGINT AS day,
           secs(timezone(getvariable('zone'), date + INTERVAL 1 DAY)) AS at_s
    FROM nutrition;
CREATE TABLE event_view AS
    SELECT athlete_id, kind, secs(onset_at) AS at_s, secs(known_at) AS kn,
           secs(resolved_at) AS resolved_s
    FROM episodes;
CREATE TABLE athlete_view AS
    SELECT athlete_id, sex, hormonal_contraception,
           nn(COLUMNS(lambda c: c IN ('birth_year', 'body_mass_kg', 'fat_free_mass_kg', 'stature_cm',
                                 'hr_max_bpm', 'training_tier')))
    FROM athletes;
CREATE TABLE queries AS
    SELECT *, local_day(to_timestamp(clock_s)) AS clock_day,
           local_day(to_timestamp(as_of_s)) AS as_of_day
    FROM asked;
