CREATE TABLE erasures (
    id uuid NOT NULL,
    erased_at timestamptz NOT NULL DEFAULT now(),
    erased_by text NOT NULL,
    counts jsonb NOT NULL,
    CONSTRAINT erasures_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE erasures IS
    'Receipts of `rollcall erase`: when, by whom and how much, without personal data';
COMMENT ON COLUMN erasures.id IS 'Id of the receipt, printed by the command';
COMMENT ON COLUMN erasures.erased_at IS 'When its transaction began, by Postgres''s clock';
COMMENT ON COLUMN erasures.erased_by IS 'Database role and operating system user of the operator';
COMMENT ON COLUMN erasures.counts IS
    'Rows deleted and redacted, by table, and entries found in journals';
COMMENT ON INDEX erasures_pkey IS 'Finds a receipt by its id';
