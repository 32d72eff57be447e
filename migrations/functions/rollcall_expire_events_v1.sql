-- Deletes a range of blocks of one partition of events, with the ids of the rows, in the
-- caller's transaction. Runs with its owner's rights: the service itself may not delete.
-- Without p_before it accepts only weeks that are closed, whose rows nobody adds to.
CREATE FUNCTION rollcall_expire_events(
    p_partition text,
    p_first_block bigint,
    p_blocks integer,
    p_before timestamptz DEFAULT NULL,
    OUT expired bigint,
    OUT next_block bigint
)
LANGUAGE plpgsql
SECURITY DEFINER
SET timezone = 'UTC'
AS $function$
DECLARE
    home CONSTANT text := (
        SELECT relnamespace::regnamespace::text
        FROM pg_class WHERE oid = 'events'::regclass
    );
    week CONSTANT regclass := to_regclass(format('%s.%I', home, p_partition));
    total bigint;
    empty boolean;
BEGIN
    IF p_first_block < 0 OR p_blocks NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'block % or count % is out of range', p_first_block, p_blocks
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_inherits WHERE inhparent = 'events'::regclass AND inhrelid = week
    ) THEN
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

    IF p_before IS NOT NULL AND p_first_block = 0 THEN
        EXECUTE format(
            'SELECT NOT EXISTS (SELECT FROM %s WHERE "timestamp" < $1)', week
        ) INTO empty USING p_before;
        IF empty THEN
            expired := 0;
            next_block := NULL;
            RETURN;
        END IF;
    END IF;

    total := pg_relation_size(week) / current_setting('block_size')::bigint;
    IF p_first_block < total THEN
        EXECUTE format(
            'WITH gone AS (
                DELETE FROM %s
                WHERE ctid >= %L::tid AND ctid < %L::tid
                    AND ($1 IS NULL OR "timestamp" < $1)
                RETURNING id
            ), forgotten AS (
                DELETE FROM event_ids USING gone WHERE event_ids.id = gone.id
            )
            SELECT count(*) FROM gone',
            week,
            format('(%s,0)', p_first_block),
            format('(%s,0)', p_first_block + p_blocks)
        ) INTO expired USING p_before;
        next_block := p_first_block + p_blocks;
        RETURN;
    END IF;

    expired := 0;
    next_block := NULL;
    IF p_before IS NULL AND total > 0 THEN
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %s)', week) INTO empty;
        IF empty THEN
            -- Returns the disk space at once. Autovacuum does it where a long query
            -- holds the partition.
            PERFORM set_config('lock_timeout', '100ms', true);
            BEGIN
                EXECUTE format('TRUNCATE %s', week);
            EXCEPTION WHEN lock_not_available THEN
                NULL;
            END;
        END IF;
    END IF;
END
$function$;
DO $do$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION rollcall_expire_events(text, bigint, integer, timestamptz)'
        || ' SET search_path = pg_catalog, %I, pg_temp',
        current_schema()
    );
END
$do$;
REVOKE ALL ON FUNCTION rollcall_expire_events(text, bigint, integer, timestamptz)
    FROM PUBLIC;
COMMENT ON FUNCTION rollcall_expire_events(text, bigint, integer, timestamptz) IS
    'Deletes the events, and their ids, of p_blocks blocks of a closed weekly partition, or those of any partition that happened before p_before; returns how many, and the next block (NULL at the end, where it empties the file). Used by `rollcall retention`';
