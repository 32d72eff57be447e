CREATE TABLE audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    action text NOT NULL,
    subject text,
    details jsonb NOT NULL DEFAULT '{}',
    database_role text NOT NULL DEFAULT session_user,
    CONSTRAINT audit_log_pkey PRIMARY KEY (id)
);
CREATE INDEX audit_log_at_idx ON audit_log (at);
COMMENT ON TABLE audit_log IS
    'Actions of operators, and reads of payloads by key and minute; ids, never payloads';
COMMENT ON COLUMN audit_log.id IS 'Number of the row';
COMMENT ON COLUMN audit_log.at IS 'When its transaction began, by Postgres''s clock';
COMMENT ON COLUMN audit_log.actor IS
    'key:ID for a key or session, cli:USER for a command, service for the service';
COMMENT ON COLUMN audit_log.action IS
    'Action, such as key.create, read, rejected.replay or retention';
COMMENT ON COLUMN audit_log.subject IS
    'Id of the key, event, import or receipt; NULL if there is none';
COMMENT ON COLUMN audit_log.details IS 'Counts and ids, as a JSON object';
COMMENT ON COLUMN audit_log.database_role IS 'Postgres role that logged in';
COMMENT ON INDEX audit_log_pkey IS 'Finds one row';
COMMENT ON INDEX audit_log_at_idx IS 'Finds the rows of a span of time';
COMMENT ON SEQUENCE audit_log_id_seq IS 'Numbers of the rows of audit_log';
