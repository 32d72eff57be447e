-- A comment that changes on a parent's column does not change on its partitions.
DO $do$
DECLARE
    child record;
BEGIN
    FOR child IN
        SELECT
            format('%s.%I', inhrelid::regclass, attname) AS attribute,
            col_description(inhparent, attnum) AS comment
        FROM pg_inherits JOIN pg_attribute ON attrelid = inhparent
        WHERE inhparent = 'events'::regclass AND attnum > 0 AND NOT attisdropped
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s IS %L', child.attribute, child.comment);
    END LOOP;
END
$do$;
