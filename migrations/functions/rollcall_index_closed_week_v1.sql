-- Indexes the email addresses of the oldest closed week that has no such index yet.
-- Only the first 254 characters: a longer text would exceed the size of an index entry.
-- On the open week the index would cost a sixth of each insert. Nobody inserts into a
-- closed week, and CREATE INDEX lets readers go on.
CREATE FUNCTION rollcall_index_closed_week()
RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET timezone = 'UTC'
SET lock_timeout = '1s'
AS $function$
DECLARE
    week record;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('rollcall_index_closed_week')) THEN
        RETURN NULL;
    END IF;
    SELECT inhrelid::regclass AS name, relname INTO week
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
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
    'Indexes the email addresses of one closed week and returns its partition; NULL if all closed weeks have the index. The service calls it once an hour';
