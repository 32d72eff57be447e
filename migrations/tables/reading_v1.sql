ALTER TABLE write_keys
    ADD COLUMN scope text NOT NULL DEFAULT 'write'
    CONSTRAINT write_keys_scope_check CHECK (scope IN ('write', 'read'));
COMMENT ON COLUMN write_keys.scope IS
    'What the key is for: write sends events, read reads all of them';
COMMENT ON COLUMN write_keys.source IS
    'The source that whoever holds the key writes as; of a read key, who reads';
COMMENT ON TABLE write_keys IS
    'The keys that may write, or read; made and revoked by `rollcall keys`';

CREATE TABLE sessions (
    token_hash bytea NOT NULL,
    key_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT sessions_pkey PRIMARY KEY (token_hash),
    CONSTRAINT sessions_key_id_fkey FOREIGN KEY (key_id) REFERENCES write_keys (id),
    CONSTRAINT sessions_token_hash_check CHECK (octet_length(token_hash) = 32)
);
COMMENT ON TABLE sessions IS 'Browsers that are signed in';
COMMENT ON COLUMN sessions.token_hash IS
    'SHA-256 of the session''s token, which only the browser has';
COMMENT ON COLUMN sessions.key_id IS
    'Whose session it is: it ends with this read key';
COMMENT ON COLUMN sessions.created_at IS 'When the browser signed in';
COMMENT ON COLUMN sessions.expires_at IS 'From then on it is worth nothing';
COMMENT ON INDEX sessions_pkey IS 'Finds the session of a cookie';

CREATE TABLE sign_in_codes (
    code_hash bytea NOT NULL,
    key_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT sign_in_codes_pkey PRIMARY KEY (code_hash),
    CONSTRAINT sign_in_codes_key_id_fkey FOREIGN KEY (key_id) REFERENCES write_keys (id),
    CONSTRAINT sign_in_codes_code_hash_check CHECK (octet_length(code_hash) = 32)
);
COMMENT ON TABLE sign_in_codes IS
    'Codes that sign a browser in, each once; `rollcall serve` prints them';
COMMENT ON COLUMN sign_in_codes.code_hash IS
    'SHA-256 of the code, which only the link has';
COMMENT ON COLUMN sign_in_codes.key_id IS 'The read key that the code signs in with';
COMMENT ON COLUMN sign_in_codes.created_at IS 'When the code was made';
COMMENT ON COLUMN sign_in_codes.expires_at IS 'From then on it is worth nothing';
COMMENT ON INDEX sign_in_codes_pkey IS 'Finds the code of a link';
