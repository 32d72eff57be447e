-- Indexes the oldest closed week that has no index on email addresses yet. A week whose
-- events were not stored in the order of their timestamps, such as those of a backfill,
-- also gets an index on event and timestamp, because the BRIN index does not help there.
-- Only the first 254 characters: a longer text would exceed the size of an index entry.
-- On the open week the index would cost a sixth of each insert. Nobody inserts into a
-- closed week, and CREATE INDEX lets readers go on.
CREATE OR REPLACE FUNCTION rollcall_index_closed_week()
RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET timezone = 'UTC'
SET lock_timeout = '1s'
-- One process builds the index, so that the others have the rest of the machine.
SET max_parallel_maintenance_workers = 0
AS $function$
DECLARE
    week record;
    is_ordered boolean;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('rollcall_index_closed_week')) THEN
        RETURN NULL;
    END IF;
    SELECT inhrelid::regclass AS name, relname, nspname INTO week
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE inhparent = 'events'::regclass
        AND relname ~ '^events_p[0-9]{8}$'
        AND to_date(right(relname, 8), 'YYYYMMDD') + 7 <= now()::date
        AND NOT EXISTS (
            SELECT FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
            WHERE indrelid = inhrelid AND index.relname = pg_class.relname || '_email_idx'
        )
    ORDER BY relname
    LIMIT 1;
    IF week.name IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format(
        'CREATE INDEX %I ON %s (
            left(
                lower(coalesce(properties ->> ''email'', properties ->> ''user_email'')),
                254
            )
        ) WHERE coalesce(properties ->> ''email'', properties ->> ''user_email'') IS NOT NULL',
        week.relname || '_email_idx', week.name
    );
    EXECUTE format(
        'COMMENT ON INDEX %I IS %L',
        week.relname || '_email_idx',
        'Finds a person by email address; made when the week has closed'
    );
    EXECUTE format('ANALYZE %s', week.name);
    SELECT abs(correlation) > 0.9 INTO is_ordered FROM pg_stats
    WHERE schemaname = week.nspname AND tablename = week.relname AND attname = 'timestamp';
    IF NOT is_ordered THEN
        EXECUTE format(
            'CREATE INDEX %I ON %s (event, "timestamp")',
            week.relname || '_event_timestamp_idx', week.name
        );
        EXECUTE format(
            'COMMENT ON INDEX %I IS %L',
            week.relname || '_event_timestamp_idx',
            'Finds the events of a span of time in a week that was stored in another order'
        );
    END IF;
    RETURN week.relname;
END
$function$;
DO $do$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION rollcall_index_closed_week()'
        || ' SET search_path = pg_catalog, %I, pg_temp',
        current_schema()
    );
END
$do$;
REVOKE ALL ON FUNCTION rollcall_index_closed_week() FROM PUBLIC;
COMMENT ON FUNCTION rollcall_index_closed_week() IS
    'Indexes one closed week, by email address and, unless it is in order, by event and timestamp; returns its partition, or NULL if all closed weeks are done. The service calls it once an hour';
