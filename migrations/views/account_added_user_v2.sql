-- New columns stand last: CREATE OR REPLACE VIEW can only append.
CREATE OR REPLACE VIEW account_added_user AS
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
    coalesce(properties ->> 'user_role', properties ->> 'role') AS user_role,
    properties ->> 'user_name' AS user_name,
    properties ->> 'user_email' AS user_email,
    properties,
    context,
    warnings,
    extra,
    bucket
FROM events
WHERE event = 'account_added_user';
COMMENT ON COLUMN account_added_user.extra IS
    'Unknown top-level fields of the event as sent; {} if there were none';
COMMENT ON COLUMN account_added_user.bucket IS
    'Shard of the user on Citus; 0 on a single server. Joins on user_id should compare it, too';
