-- The buckets that events are divided into. One on a single server; on Citus one for
-- each shard, which `rollcall distribute` sets for ever.
CREATE TABLE buckets (
    bucket integer NOT NULL,
    CONSTRAINT buckets_pkey PRIMARY KEY (bucket)
);
COMMENT ON TABLE buckets IS
    'The buckets that events are divided into by user: 0 on a single server, one for each shard on Citus';
COMMENT ON COLUMN buckets.bucket IS
    'Value of bucket in events and event_ids; fixed once events are stored';
COMMENT ON INDEX buckets_pkey IS 'One row for each bucket';
INSERT INTO buckets VALUES (0);
