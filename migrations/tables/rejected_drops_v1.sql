CREATE TABLE rejected_drops (
    minute timestamptz NOT NULL,
    source text NOT NULL,
    worker text NOT NULL,
    events bigint NOT NULL,
    CONSTRAINT rejected_drops_pkey PRIMARY KEY (minute, source, worker)
);
COMMENT ON TABLE rejected_drops IS
    'Counts of rejected events that were not kept: the quarantine was full';
COMMENT ON COLUMN rejected_drops.minute IS
    'The minute in which the events were received';
COMMENT ON COLUMN rejected_drops.source IS 'Who sent them';
COMMENT ON COLUMN rejected_drops.worker IS
    'Random id of the process that counted them';
COMMENT ON COLUMN rejected_drops.events IS
    'How many; one that was sent twice counts twice';
COMMENT ON INDEX rejected_drops_pkey IS
    'Gives each worker a row of its own to count in; finds the drops since a time';

-- With payload_bytes in it, it alone tells how much of a source is held.
DROP INDEX rejected_events_source_received_at_idx;
CREATE INDEX rejected_events_source_received_at_idx
    ON rejected_events (source, received_at) INCLUDE (payload_bytes);
COMMENT ON INDEX rejected_events_source_received_at_idx IS
    'What of a source was refused lately: WHERE source = ... AND received_at >= ...; and how much of it is held';
CREATE INDEX rejected_events_received_at_id_idx ON rejected_events (received_at, id);
COMMENT ON INDEX rejected_events_received_at_id_idx IS
    'What was refused lately, or too long ago: ORDER BY received_at, id';
