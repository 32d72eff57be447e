-- On Citus: deletes some events of one bucket from one partition, with their ids. Runs
-- with its owner's rights: the service itself may not delete. Without p_before it accepts
-- only closed weeks, to which nobody adds rows.
CREATE OR REPLACE FUNCTION rollcall_expire_bucket(
    p_partition text,
    p_bucket integer,
    p_events integer,
    p_before timestamptz DEFAULT NULL
)
RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET timezone = 'UTC'
AS $function$
DECLARE
    week CONSTANT regclass := (
        SELECT inhrelid FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'events'::regclass AND relname = p_partition
    );
    ids uuid[];
BEGIN
    IF week IS NULL THEN
        RAISE EXCEPTION '% is not a partition of events', p_partition
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_before > now() - interval '23 hours' THEN
        RAISE EXCEPTION '% is less than a day ago', p_before
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_before IS NULL AND
        to_timestamp(right(p_partition, 8), 'YYYYMMDD') + interval '1 week'
        > date_trunc('week', now())
    THEN
        RAISE EXCEPTION 'the week of % is not closed', p_partition
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format(
        'SELECT array_agg(id) FROM (
            SELECT id FROM %s
            WHERE bucket = %s AND (%L::timestamptz IS NULL OR "timestamp" < %L)
            LIMIT %s
        ) AS expired',
        week, p_bucket, p_before, p_before, p_events
    ) INTO ids;
    IF ids IS NULL THEN
        RETURN 0;
    END IF;
    -- Two statements of one transaction, each on the shard of the bucket.
    EXECUTE format(
        'DELETE FROM %s WHERE bucket = %s AND id = ANY(%L::uuid[])', week, p_bucket, ids
    );
    EXECUTE format(
        'DELETE FROM event_ids WHERE bucket = %s AND id = ANY(%L::uuid[])',
        p_bucket, ids
    );
    RETURN cardinality(ids);
END
$function$;
DO $do$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION rollcall_expire_bucket(text, integer, integer, timestamptz)'
        || ' SET search_path = pg_catalog, %I, pg_temp',
        current_schema()
    );
END
$do$;
REVOKE ALL ON FUNCTION rollcall_expire_bucket(text, integer, integer, timestamptz)
    FROM PUBLIC;
COMMENT ON FUNCTION rollcall_expire_bucket(text, integer, integer, timestamptz) IS
    'Deletes up to p_events events of a bucket, and their ids, from a closed weekly partition, or those of any partition that happened before p_before; returns how many. Used by `rollcall retention` on Citus';
