-- Constant defaults: no row is rewritten, and the release before goes on inserting.
ALTER TABLE events
    ADD COLUMN extra jsonb NOT NULL DEFAULT '{}'::jsonb,
    ADD COLUMN bucket integer NOT NULL DEFAULT 0,
    ADD COLUMN import_id uuid;
COMMENT ON COLUMN events.extra IS
    'Unknown top-level fields of the event as sent; {} if there were none';
COMMENT ON COLUMN events.bucket IS
    'Shard of the user on Citus; 0 on a single server. Joins on user_id should compare it, too';
COMMENT ON COLUMN events.import_id IS
    'Id of the import that stored the event; NULL if it came over HTTP';
-- Partial, so that an event that came over HTTP adds no entry.
CREATE INDEX events_import_id_idx ON events (import_id) WHERE import_id IS NOT NULL;
COMMENT ON INDEX events_import_id_idx IS
    'All events of one import: WHERE import_id = ...';

-- Partitions that exist already do not inherit comments.
DO $do$
DECLARE
    child record;
BEGIN
    FOR child IN
        SELECT
            format('COLUMN %s.%I', inhrelid::regclass, attname) AS object,
            col_description(inhparent, attnum) AS comment
        FROM pg_inherits JOIN pg_attribute ON attrelid = inhparent
        WHERE inhparent = 'events'::regclass
            AND attname IN ('extra', 'bucket', 'import_id')
        UNION ALL
        SELECT
            format('INDEX %s', inhrelid::regclass), obj_description(inhparent, 'pg_class')
        FROM pg_inherits WHERE inhparent = 'events_import_id_idx'::regclass
    LOOP
        EXECUTE format('COMMENT ON %s IS %L', child.object, child.comment);
    END LOOP;
END
$do$;

ALTER TABLE event_ids
    ADD COLUMN bucket integer NOT NULL DEFAULT 0,
    ADD COLUMN erased_at timestamptz;
COMMENT ON COLUMN event_ids.bucket IS 'bucket of its row in events';
COMMENT ON COLUMN event_ids.erased_at IS
    'When the event was erased; its id is never stored again. NULL while it is stored';

ALTER TABLE rejected_events
    ADD COLUMN corrected_at timestamptz,
    ADD COLUMN corrected_as uuid;
COMMENT ON COLUMN rejected_events.corrected_at IS
    'When an operator corrected the payload and stored the result; NULL if nobody did';
COMMENT ON COLUMN rejected_events.corrected_as IS
    'id in events of the corrected event; NULL if there is none';
