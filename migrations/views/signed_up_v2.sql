-- New columns stand last: CREATE OR REPLACE VIEW can only append.
CREATE OR REPLACE VIEW signed_up AS
SELECT
    id,
    source,
    user_id,
    group_id,
    "timestamp",
    timestamp_raw,
    regexp_replace(
        to_char("timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        '000Z$',
        'Z'
    ) AS timestamp_iso,
    received_at,
    stored_at,
    message_id,
    coalesce(properties ->> 'email', properties ->> 'user_email') AS email,
    properties ->> 'name' AS name,
    properties ->> 'first_name' AS first_name,
    properties ->> 'last_name' AS last_name,
    properties,
    context,
    warnings,
    extra,
    bucket
FROM events
WHERE event = 'signed_up';
COMMENT ON COLUMN signed_up.extra IS
    'Unknown top-level fields of the event as sent; {} if there were none';
COMMENT ON COLUMN signed_up.bucket IS
    'Shard of the user on Citus; 0 on a single server. Joins on user_id should compare it, too';
