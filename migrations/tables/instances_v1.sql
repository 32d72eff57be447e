CREATE TABLE instances (
    name text NOT NULL,
    version text NOT NULL,
    settings jsonb NOT NULL,
    last_seen_at timestamptz NOT NULL,
    CONSTRAINT instances_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE instances IS
    'Instances of the service and the settings that they should share; a row is deleted a day after its last report';
COMMENT ON COLUMN instances.name IS 'Host name and port';
COMMENT ON COLUMN instances.version IS 'Release of Rollcall';
COMMENT ON COLUMN instances.settings IS
    'Settings that all instances should share, by name; never a secret';
COMMENT ON COLUMN instances.last_seen_at IS
    'Time of the last report; a running instance reports once a minute';
COMMENT ON INDEX instances_pkey IS 'Finds the row of an instance';
