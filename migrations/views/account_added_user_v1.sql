CREATE VIEW account_added_user AS
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
    warnings
FROM events
WHERE event = 'account_added_user';
COMMENT ON VIEW account_added_user IS
    'Users who were added to an account: one row an event, one column a documented property';
COMMENT ON COLUMN account_added_user.id IS 'The event''s identity; unique';
COMMENT ON COLUMN account_added_user.source IS
    'Who sent it: the source of the write key';
COMMENT ON COLUMN account_added_user.user_id IS 'The user who was added, as sent';
COMMENT ON COLUMN account_added_user.group_id IS
    'The account that the user was added to, as sent';
COMMENT ON COLUMN account_added_user."timestamp" IS
    'When the user was added, says the sender';
COMMENT ON COLUMN account_added_user.timestamp_raw IS
    'The timestamp exactly as sent; warnings tell what was assumed';
COMMENT ON COLUMN account_added_user.timestamp_iso IS
    'timestamp as the answers write it: ISO-8601 in UTC, milliseconds if exact, else microseconds';
COMMENT ON COLUMN account_added_user.received_at IS
    'When its request arrived, by the service''s clock';
COMMENT ON COLUMN account_added_user.stored_at IS
    'When its transaction began, by Postgres''s clock; the partition key';
COMMENT ON COLUMN account_added_user.message_id IS
    'The sender''s own id of the message; NULL if it sent none';
COMMENT ON COLUMN account_added_user.user_role IS
    'The user''s role in the account, from the property user_role, else role';
COMMENT ON COLUMN account_added_user.user_name IS 'The user''s name; NULL if not sent';
COMMENT ON COLUMN account_added_user.user_email IS
    'The user''s email; NULL if not sent';
COMMENT ON COLUMN account_added_user.properties IS
    'The properties as sent, all of them';
COMMENT ON COLUMN account_added_user.context IS
    'The context as sent; {} if none was sent';
COMMENT ON COLUMN account_added_user.warnings IS
    'What was repaired or assumed: a list of {code, path, message}';
