-- On Citus: stores the events of one bucket on the node that holds its shards, and
-- returns the ids that were known before, with commas between them. Citus passes the
-- call on to that node, where it is one statement on ordinary tables: the shards. Runs
-- with its owner's rights, because only the owner may lock a shard against a move.
--
-- The columns are texts with p_mark between their values, as in the statement of a
-- single server; those of instants have `","` between theirs.
CREATE OR REPLACE FUNCTION rollcall_store_in_bucket(
    p_bucket integer,
    p_id text,
    p_source text,
    p_event text,
    p_user_id text,
    p_group_id text,
    p_timestamp text,
    p_timestamp_raw text,
    p_received_at text,
    p_message_id text,
    p_properties text,
    p_context text,
    p_warnings text,
    p_content_hash text,
    p_extra text,
    p_import_id uuid,
    p_mark text
)
RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
AS $function$
DECLARE
    ids_shard CONSTANT bigint :=
        get_shard_id_for_distribution_column('event_ids', p_bucket);
    events_shard CONSTANT bigint :=
        get_shard_id_for_distribution_column('events', p_bucket);
    known text;
BEGIN
    -- Whatever the role or the database says on this node.
    PERFORM set_config('synchronous_commit', 'on', true);
    -- The lock that each statement of Citus takes (5 is SHARE). A move of the shard
    -- waits for it; if the move was first, the shard is on another node now.
    PERFORM lock_shard_metadata(5, ARRAY[ids_shard]);
    IF NOT EXISTS (
        SELECT FROM pg_dist_placement JOIN pg_dist_local_group USING (groupid)
        WHERE shardid = ids_shard
    ) THEN
        RAISE EXCEPTION 'the shard of bucket % is not on this node', p_bucket
            USING ERRCODE = 'serialization_failure';
    END IF;
    EXECUTE format($statement$
        WITH input AS (
            SELECT
                CAST(id AS uuid) AS id, source, event, user_id, group_id,
                CAST("timestamp" AS timestamptz) AS "timestamp",
                coalesce(timestamp_raw, '') AS timestamp_raw,
                CAST(received_at AS timestamptz) AS received_at, message_id,
                CAST(properties AS jsonb) AS properties,
                CAST(context AS jsonb) AS context, CAST(warnings AS jsonb) AS warnings,
                CAST(extra AS jsonb) AS extra, decode(content_hash, 'hex') AS content_hash
            FROM unnest(
                string_to_array($1, $16), string_to_array($2, $16),
                string_to_array($3, $16), string_to_array($4, $16),
                string_to_array($5, $16, ''), string_to_array($6, '","'),
                string_to_array($7, $16), string_to_array($8, '","'),
                string_to_array($9, $16, ''), string_to_array($10, $16),
                string_to_array($11, $16), string_to_array($12, $16),
                string_to_array($13, $16), string_to_array($14, $16)
            ) AS input (
                id, source, event, user_id, group_id, "timestamp", timestamp_raw,
                received_at, message_id, properties, context, warnings, content_hash,
                extra
            )
        ), claimed AS (
            INSERT INTO %s (bucket, id, stored_at, content_hash)
            SELECT $17, id, now(), content_hash FROM input ORDER BY id
            ON CONFLICT (bucket, id) DO NOTHING
            RETURNING id
        ), stored AS (
            INSERT INTO %s (
                bucket, id, source, event, user_id, group_id, "timestamp",
                timestamp_raw, received_at, stored_at, message_id, properties, context,
                warnings, extra, import_id
            )
            SELECT
                $17, id, source, event, user_id, group_id, "timestamp",
                timestamp_raw, received_at, now(), message_id, properties, context,
                warnings, extra, $15
            FROM input JOIN claimed USING (id)
        )
        SELECT string_agg(CAST(id AS text), ',') FROM input
        WHERE NOT EXISTS (SELECT FROM claimed WHERE claimed.id = input.id)
        $statement$,
        shard_name('event_ids', ids_shard), shard_name('events', events_shard)
    )
    INTO known
    USING p_id, p_source, p_event, p_user_id, p_group_id, p_timestamp, p_timestamp_raw,
        p_received_at, p_message_id, p_properties, p_context, p_warnings,
        p_content_hash, p_extra, p_import_id, p_mark, p_bucket;
    RETURN known;
END
$function$;
DO $do$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION rollcall_store_in_bucket SET search_path = pg_catalog, %I, pg_temp',
        current_schema()
    );
END
$do$;
REVOKE ALL ON FUNCTION rollcall_store_in_bucket FROM PUBLIC;
COMMENT ON FUNCTION rollcall_store_in_bucket IS
    'Stores the events of a bucket whose ids are new, and returns the ids that were known before; p_mark stands between the values of a column. Used by the service on Citus';
