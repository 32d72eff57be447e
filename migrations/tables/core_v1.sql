CREATE TABLE sources (
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sources_pkey PRIMARY KEY (name),
    CONSTRAINT sources_name_check CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$')
);
COMMENT ON TABLE sources IS 'The named senders; each may hold several live write keys';
COMMENT ON COLUMN sources.name IS
    'The sender''s name, such as billing-backend: 1 to 63 of a-z 0-9 . _ -';
COMMENT ON COLUMN sources.created_at IS 'When the source was registered';
COMMENT ON INDEX sources_pkey IS 'Finds a source by its name';

CREATE TABLE write_keys (
    id text NOT NULL,
    key_hash bytea NOT NULL,
    source text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    CONSTRAINT write_keys_pkey PRIMARY KEY (id),
    CONSTRAINT write_keys_key_hash_key UNIQUE (key_hash),
    CONSTRAINT write_keys_source_fkey FOREIGN KEY (source) REFERENCES sources (name),
    CONSTRAINT write_keys_key_hash_check CHECK (octet_length(key_hash) = 32)
);
COMMENT ON TABLE write_keys IS
    'The keys that may write; made and revoked by `rollcall keys`';
COMMENT ON COLUMN write_keys.id IS
    'Public name of the key: the first 12 hex digits of its SHA-256';
COMMENT ON COLUMN write_keys.key_hash IS
    'SHA-256 of the key; the key itself is stored nowhere';
COMMENT ON COLUMN write_keys.source IS
    'The source that whoever holds the key writes as';
COMMENT ON COLUMN write_keys.created_at IS 'When the key was made';
COMMENT ON COLUMN write_keys.revoked_at IS
    'When the key was revoked; NULL while it is live';
COMMENT ON INDEX write_keys_pkey IS 'Finds a key by its id: rollcall keys revoke ID';
COMMENT ON INDEX write_keys_key_hash_key IS
    'Finds the source of a key: the question of every new key';

CREATE TABLE events (
    id uuid NOT NULL,
    source text NOT NULL,
    event text NOT NULL,
    user_id text NOT NULL,
    group_id text,
    "timestamp" timestamptz NOT NULL,
    timestamp_raw text NOT NULL,
    received_at timestamptz NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    message_id text,
    properties jsonb NOT NULL,
    context jsonb NOT NULL,
    warnings jsonb NOT NULL DEFAULT '[]'::jsonb
) PARTITION BY RANGE (stored_at);
CREATE INDEX events_user_id_timestamp_idx ON events (user_id, "timestamp");
CREATE INDEX events_group_id_timestamp_idx ON events (group_id, "timestamp")
    WHERE group_id IS NOT NULL;
CREATE INDEX events_stored_at_idx ON events (stored_at);
CREATE INDEX events_timestamp_idx ON events USING brin ("timestamp")
    WITH (autosummarize = on);
COMMENT ON TABLE events IS
    'Every event, exactly once; a partition a week of stored_at (UTC)';
COMMENT ON COLUMN events.id IS 'The event''s identity; event_ids keeps it unique';
COMMENT ON COLUMN events.source IS 'Who sent it: the source of the write key';
COMMENT ON COLUMN events.event IS 'Which event: signed_up or account_added_user';
COMMENT ON COLUMN events.user_id IS
    'The user it is about, as sent; any text, seldom a UUID';
COMMENT ON COLUMN events.group_id IS
    'The account it is about, as sent; NULL if none was named';
COMMENT ON COLUMN events."timestamp" IS
    'When it happened, says the sender, to the microsecond';
COMMENT ON COLUMN events.timestamp_raw IS
    'The timestamp as sent; warnings tell what was assumed';
COMMENT ON COLUMN events.received_at IS
    'When its request arrived, by the service''s clock';
COMMENT ON COLUMN events.stored_at IS
    'When its transaction began, by Postgres''s clock; the partition key';
COMMENT ON COLUMN events.message_id IS
    'The sender''s own id of it; NULL if none was sent';
COMMENT ON COLUMN events.properties IS 'The properties as sent; the views name some';
COMMENT ON COLUMN events.context IS 'The context as sent; {} if none was sent';
COMMENT ON COLUMN events.warnings IS
    'What was repaired or assumed: a list of {code, path, message}';
COMMENT ON INDEX events_user_id_timestamp_idx IS
    'A user''s timeline: WHERE user_id = ... ORDER BY timestamp';
COMMENT ON INDEX events_group_id_timestamp_idx IS
    'An account''s members: WHERE group_id = ... ORDER BY timestamp';
COMMENT ON INDEX events_stored_at_idx IS
    'What came in lately: WHERE stored_at >= ...; and one event by its id, through event_ids';
COMMENT ON INDEX events_timestamp_idx IS
    'What happened in a span, such as sign-ups a day: WHERE timestamp >= ...';

CREATE TABLE event_ids (
    id uuid NOT NULL,
    stored_at timestamptz NOT NULL,
    content_hash bytea NOT NULL,
    CONSTRAINT event_ids_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE event_ids IS
    'Which events are stored: claims each id in the transaction of its row';
COMMENT ON COLUMN event_ids.id IS
    'The event''s identity: a hash of source and message id or content';
COMMENT ON COLUMN event_ids.stored_at IS
    'stored_at of its row in events: finds its partition';
COMMENT ON COLUMN event_ids.content_hash IS
    'Hash of the content, to tell a retry from other content';
COMMENT ON INDEX event_ids_pkey IS 'Claims each id once; finds one event by its id';

CREATE TABLE rejected_events (
    id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    source text NOT NULL,
    event text,
    message_id text,
    reason text NOT NULL,
    errors jsonb NOT NULL,
    warnings jsonb NOT NULL,
    payload text NOT NULL,
    payload_bytes integer NOT NULL,
    truncated boolean NOT NULL,
    request_id text NOT NULL,
    CONSTRAINT rejected_events_pkey PRIMARY KEY (id)
);
CREATE INDEX rejected_events_source_received_at_idx ON rejected_events (source, received_at);
COMMENT ON TABLE rejected_events IS
    'The quarantine: events that were refused, with the reasons';
COMMENT ON COLUMN rejected_events.id IS
    'Hash of source, message id, payload and reason';
COMMENT ON COLUMN rejected_events.received_at IS
    'When its request arrived, by the service''s clock';
COMMENT ON COLUMN rejected_events.source IS 'Who sent it: the source of the write key';
COMMENT ON COLUMN rejected_events.event IS
    'Its event name; NULL if it had none to read';
COMMENT ON COLUMN rejected_events.message_id IS
    'The sender''s own id of it; NULL if none was sent';
COMMENT ON COLUMN rejected_events.reason IS
    'Code of the first error, such as invalid_timestamp';
COMMENT ON COLUMN rejected_events.errors IS
    'All that is wrong: a list of {code, path, message}';
COMMENT ON COLUMN rejected_events.warnings IS
    'What was repaired or assumed: a list of {code, path, message}';
COMMENT ON COLUMN rejected_events.payload IS
    'Its JSON before repair, ASCII-escaped, at most 128 KiB';
COMMENT ON COLUMN rejected_events.payload_bytes IS
    'Bytes of the whole payload, cut or not';
COMMENT ON COLUMN rejected_events.truncated IS
    'Whether payload was cut, so cannot be replayed';
COMMENT ON COLUMN rejected_events.request_id IS
    'Id of the request that brought it; the log has it';
COMMENT ON INDEX rejected_events_pkey IS
    'Keeps a body that is sent again from doubling its rows';
COMMENT ON INDEX rejected_events_source_received_at_idx IS
    'What of a source was refused lately: WHERE source = ... AND received_at >= ...';

-- Alembic makes this one, just before the first migration.
COMMENT ON TABLE alembic_version IS
    'Which migration the schema is at; `rollcall migrate` moves it';
COMMENT ON COLUMN alembic_version.version_num IS
    'UTC stamp of the newest migration that ran';
COMMENT ON INDEX alembic_version_pkc IS 'Keeps each revision single';
