-- Makes the missing partitions of events, of this week and the next ones.
-- It runs with its owner's rights, so the service needs none of its own.
CREATE OR REPLACE FUNCTION rollcall_ensure_partitions(weeks_ahead integer DEFAULT 4)
RETURNS integer
LANGUAGE plpgsql
SECURITY DEFINER
SET timezone = 'UTC'
AS $function$
DECLARE
    parent CONSTANT regclass := 'events';
    home CONSTANT text := (
        SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = parent
    );
    this_week CONSTANT timestamptz := date_trunc('week', now());
    week CONSTANT interval := '1 week';
    missing timestamptz[];
    monday timestamptz;
    partition text;
BEGIN
    IF (weeks_ahead BETWEEN 0 AND 520) IS NOT TRUE THEN
        RAISE EXCEPTION 'weeks_ahead is %, but must be from 0 to 520', weeks_ahead
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    -- First without the lock, so that the usual call waits for nobody, then with it,
    -- because another session may have made the partitions meanwhile.
    FOR _ IN 1..2 LOOP
        missing := ARRAY(
            SELECT candidate
            FROM generate_series(
                this_week, this_week + weeks_ahead * week, week
            ) AS candidate
            -- A detached table of this name, such as a week to be dropped, stays so.
            WHERE NOT EXISTS (
                SELECT
                FROM pg_class AS other
                JOIN pg_class AS events USING (relnamespace)
                WHERE events.oid = parent
                    AND other.relname = to_char(candidate, '"events_p"YYYYMMDD')
            )
            ORDER BY candidate
        );
        IF cardinality(missing) = 0 THEN
            RETURN 0;
        END IF;
        PERFORM pg_advisory_xact_lock(hashtext('rollcall_ensure_partitions'));
    END LOOP;

    -- ATTACH lets readers and writers of events go on; PARTITION OF would not.
    FOREACH monday IN ARRAY missing LOOP
        partition := format('%s.%I', home, to_char(monday, '"events_p"YYYYMMDD'));
        EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING ALL)', partition, parent);
        EXECUTE format(
            'COMMENT ON TABLE %s IS %L',
            partition,
            format(
                'Events stored from %s to before %s (UTC). Read them through events;'
                || ' to drop the week, detach this table from events first',
                monday::date,
                (monday + week)::date
            )
        );
        EXECUTE format(
            'ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
            parent, partition, monday, monday + week
        );
    END LOOP;
    RETURN cardinality(missing);
END
$function$;
-- pg_temp is named so that it is searched last: unnamed it would be searched first.
DO $do$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION rollcall_ensure_partitions(integer)'
        || ' SET search_path = pg_catalog, %I, pg_temp',
        current_schema()
    );
END
$do$;
REVOKE ALL ON FUNCTION rollcall_ensure_partitions(integer) FROM PUBLIC;
COMMENT ON FUNCTION rollcall_ensure_partitions(integer) IS
    'Makes the missing partitions of events for this week and the next weeks_ahead, and returns how many; safe at any time. If inserts fail with "no partition of relation", run: SELECT rollcall_ensure_partitions()';
