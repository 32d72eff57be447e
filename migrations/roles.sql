-- Roles that own nothing, each with the rights that its task needs:
--   rollcall_service   for `rollcall serve`: look up keys, store events
--   rollcall_reader    SELECT on everything but the hashes of keys; the service needs
--                      this role, too, for its pages and the read API
--   rollcall_operator  for the operators' actions on the pages: manage keys, correct,
--                      replay and purge; without it the pages only read
--   rollcall_eraser    for `rollcall erase` and `rollcall export --subject`
--
-- Run this as the owner of the tables, the role of `rollcall migrate` and
-- `rollcall keys`, after each migration; running it again changes nothing.
-- No role can log in. Grant each login the roles that it needs:
--   CREATE ROLE rollcall_1 LOGIN PASSWORD '...' IN ROLE rollcall_service, rollcall_reader;
--
-- Partitions need no grants: the service and the views access them through events,
-- where the grants on events apply.

DO $do$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY[
        'rollcall_service', 'rollcall_reader', 'rollcall_operator', 'rollcall_eraser'
    ] LOOP
        IF to_regrole(role_name) IS NULL THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), role_name);
    END LOOP;
END
$do$;

GRANT SELECT ON alembic_version, buckets TO rollcall_service;
GRANT SELECT (id, key_hash, source, scope, revoked_at, expires_at, last_used_on),
    UPDATE (last_used_on) ON write_keys TO rollcall_service;
-- It adds to the audit log and deletes its oldest months, but cannot change it.
-- Not the time and the role, which Postgres fills in.
REVOKE INSERT ON audit_log FROM rollcall_service, rollcall_operator, rollcall_eraser;
GRANT INSERT (actor, action, subject, details) ON audit_log
    TO rollcall_service, rollcall_operator, rollcall_eraser;
GRANT EXECUTE ON FUNCTION rollcall_expire_audit(integer) TO rollcall_service;
-- It signs browsers in and out; a code is made by the owner, and used once.
GRANT INSERT, DELETE, SELECT ON sessions TO rollcall_service;
GRANT DELETE, SELECT ON sign_in_codes TO rollcall_service;
GRANT INSERT ON events TO rollcall_service;
GRANT INSERT, SELECT ON event_ids TO rollcall_service;
-- It counts the rejected events and deletes expired ones, but reads no payload.
-- FOR UPDATE asks for the right to update any one column.
GRANT INSERT, DELETE, SELECT (id, source, received_at, payload_bytes), UPDATE (id)
    ON rejected_events TO rollcall_service;
GRANT INSERT, DELETE, SELECT, UPDATE (events) ON rejected_drops TO rollcall_service;
GRANT EXECUTE ON FUNCTION rollcall_ensure_partitions(integer) TO rollcall_service;
-- Retention: one instance at a time deletes old events, through a function.
GRANT INSERT, DELETE, SELECT, UPDATE ON leases TO rollcall_service;
-- Each instance reports its settings once a minute.
GRANT INSERT, DELETE, SELECT, UPDATE ON instances TO rollcall_service;
GRANT EXECUTE ON FUNCTION
    rollcall_expire_events(text, bigint, integer, timestamptz),
    rollcall_index_closed_week()
    TO rollcall_service;
-- On Citus, after `rollcall distribute`.
DO $do$
BEGIN
    IF to_regproc('rollcall_store_in_bucket') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION rollcall_store_in_bucket
            TO rollcall_service, rollcall_operator;
        GRANT EXECUTE ON FUNCTION
            rollcall_expire_bucket(text, integer, integer, timestamptz)
            TO rollcall_service;
    END IF;
END
$do$;

GRANT SELECT ON
    events, signed_up, account_added_user, event_ids, rejected_events, rejected_drops,
    sources, leases, instances, erasures, audit_log, event_declarations, alembic_version,
    buckets TO rollcall_reader;
GRANT SELECT
    (id, source, scope, created_at, revoked_at, expires_at, note, last_used_on)
    ON write_keys TO rollcall_reader;
-- The typed views of declared events; `rollcall migrate` records each.
DO $do$
DECLARE
    view_name text;
BEGIN
    FOR view_name IN SELECT event FROM event_declarations LOOP
        EXECUTE format('GRANT SELECT ON %I TO rollcall_reader', view_name);
    END LOOP;
END
$do$;
GRANT SELECT (key_id, created_at, expires_at) ON sessions, sign_in_codes
    TO rollcall_reader;

-- Actions on the pages, for keys of the scope operate. Key hashes stay unreadable.
GRANT SELECT
    (id, source, scope, created_at, revoked_at, expires_at, note, last_used_on),
    INSERT, UPDATE (revoked_at, expires_at) ON write_keys TO rollcall_operator;
GRANT SELECT, INSERT ON sources, events, event_ids TO rollcall_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON rejected_events, rejected_drops
    TO rollcall_operator;
GRANT SELECT ON alembic_version, buckets TO rollcall_operator;
GRANT EXECUTE ON FUNCTION rollcall_ensure_partitions(integer) TO rollcall_operator;

-- Erasure of a person; the rewrite of tables afterwards needs their owner.
GRANT SELECT, UPDATE, DELETE ON events, rejected_events TO rollcall_eraser;
GRANT SELECT, INSERT, UPDATE ON event_ids TO rollcall_eraser;
GRANT SELECT, INSERT ON erasures TO rollcall_eraser;
GRANT SELECT ON alembic_version, buckets TO rollcall_eraser;
