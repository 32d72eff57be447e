ALTER TABLE write_keys
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN note text,
    ADD COLUMN last_used_on date,
    DROP CONSTRAINT write_keys_scope_check,
    ADD CONSTRAINT write_keys_scope_check CHECK (
        scope ~ '^(write|metrics|read|read:[a-z0-9][a-z0-9._-]{0,62}|operate|erase)$'
    );
COMMENT ON TABLE write_keys IS
    'The keys of senders, readers and operators; `rollcall keys` manages them';
COMMENT ON COLUMN write_keys.source IS
    'The source of the events sent with the key; of other scopes, the holder';
COMMENT ON COLUMN write_keys.scope IS
    'write, metrics, read, read:SOURCE, operate or erase';
COMMENT ON COLUMN write_keys.expires_at IS
    'When the key stops working; NULL if it never does';
COMMENT ON COLUMN write_keys.note IS 'Remark of the operator; NULL if there is none';
COMMENT ON COLUMN write_keys.last_used_on IS
    'Day (UTC) of the last use, recorded once an hour; NULL if never used';
