CREATE TABLE event_declarations (
    event text CONSTRAINT event_declarations_pkey PRIMARY KEY,
    digest text NOT NULL,
    declaration jsonb NOT NULL,
    columns jsonb NOT NULL,
    migrated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE event_declarations IS
    'Declared events that have a typed view, with the version it was made from';
COMMENT ON INDEX event_declarations_pkey IS 'The declaration of an event: WHERE event = ...';
COMMENT ON COLUMN event_declarations.event IS 'Name of the event and of its view';
COMMENT ON COLUMN event_declarations.digest IS
    'Digest of the declaration that the view was made from';
COMMENT ON COLUMN event_declarations.declaration IS
    'The declaration that the view was made from';
COMMENT ON COLUMN event_declarations.columns IS
    'Columns of the view that show properties, in order; none is ever dropped';
COMMENT ON COLUMN event_declarations.migrated_at IS
    'When the view was created or extended';

COMMENT ON COLUMN events.event IS 'Name of the event, such as signed_up';
