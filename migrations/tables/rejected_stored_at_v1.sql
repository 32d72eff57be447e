-- A constant default: no row is rewritten, and an older release goes on inserting.
ALTER TABLE rejected_events ADD COLUMN stored_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN rejected_events.stored_at IS
    'When its transaction began, by Postgres''s clock';
CREATE INDEX rejected_events_stored_at_idx ON rejected_events (stored_at);
COMMENT ON INDEX rejected_events_stored_at_idx IS
    'What was refused in the last moments, however old: WHERE stored_at > ...';
