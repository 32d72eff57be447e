-- Deletes the months of the audit log that are older than some days, at least 90. The
-- service may insert into the table and execute this function, and nothing else.
CREATE FUNCTION rollcall_expire_audit(days integer)
RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET timezone = 'UTC'
AS $function$
DECLARE
    deleted bigint;
BEGIN
    IF days IS NULL OR days < 90 THEN
        RAISE EXCEPTION 'the audit log is kept for at least 90 days'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    DELETE FROM audit_log WHERE id IN (
        SELECT id FROM audit_log
        WHERE at < date_trunc('month', now() - make_interval(days => days))
        LIMIT 5000
    );
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$function$;
DO $do$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION rollcall_expire_audit(integer)'
        || ' SET search_path = pg_catalog, %I, pg_temp',
        current_schema()
    );
END
$do$;
REVOKE ALL ON FUNCTION rollcall_expire_audit(integer) FROM PUBLIC;
COMMENT ON FUNCTION rollcall_expire_audit(integer) IS
    'Deletes up to 5,000 rows of the months of the audit log that are older than some days (at least 90) and returns their number. The service calls it once an hour until it returns 0';
