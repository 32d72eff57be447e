CREATE VIEW signed_up AS
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
    warnings
FROM events
WHERE event = 'signed_up';
COMMENT ON VIEW signed_up IS
    'Users who signed up: one row an event, one column a documented property';
COMMENT ON COLUMN signed_up.id IS 'The event''s identity; unique';
COMMENT ON COLUMN signed_up.source IS 'Who sent it: the source of the write key';
COMMENT ON COLUMN signed_up.user_id IS 'The user who signed up, as sent';
COMMENT ON COLUMN signed_up.group_id IS
    'The account that the user signed up with, as sent; NULL if none was named';
COMMENT ON COLUMN signed_up."timestamp" IS 'When the user signed up, says the sender';
COMMENT ON COLUMN signed_up.timestamp_raw IS
    'The timestamp exactly as sent; warnings tell what was assumed';
COMMENT ON COLUMN signed_up.timestamp_iso IS
    'timestamp as the answers write it: ISO-8601 in UTC, milliseconds if exact, else microseconds';
COMMENT ON COLUMN signed_up.received_at IS
    'When its request arrived, by the service''s clock';
COMMENT ON COLUMN signed_up.stored_at IS
    'When its transaction began, by Postgres''s clock; the partition key';
COMMENT ON COLUMN signed_up.message_id IS
    'The sender''s own id of the message; NULL if it sent none';
COMMENT ON COLUMN signed_up.email IS
    'The user''s email, from the property email, else user_email';
COMMENT ON COLUMN signed_up.name IS 'The user''s name; NULL if not sent';
COMMENT ON COLUMN signed_up.first_name IS 'The user''s first name; NULL if not sent';
COMMENT ON COLUMN signed_up.last_name IS 'The user''s last name; NULL if not sent';
COMMENT ON COLUMN signed_up.properties IS 'The properties as sent, all of them';
COMMENT ON COLUMN signed_up.context IS 'The context as sent; {} if none was sent';
COMMENT ON COLUMN signed_up.warnings IS
    'What was repaired or assumed: a list of {code, path, message}';
