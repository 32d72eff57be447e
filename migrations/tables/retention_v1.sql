CREATE TABLE leases (
    name text NOT NULL,
    holder text NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT leases_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE leases IS
    'Tasks that only one process may run at a time, such as retention';
COMMENT ON COLUMN leases.name IS 'The task';
COMMENT ON COLUMN leases.holder IS 'The process that runs it: host, pid and a random part';
COMMENT ON COLUMN leases.expires_at IS
    'When another process may take the lease; the holder extends it while it works';
COMMENT ON INDEX leases_pkey IS 'Finds the lease of a task';
