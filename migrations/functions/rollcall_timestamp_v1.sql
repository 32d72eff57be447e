-- Typed views read timestamps of properties by this: a plain cast would fail the SELECT.
-- RFC 3339 with an offset, checked against the calendar before the cast. The first and
-- the last day are left out: their offset could lead to a year that clients cannot read.
CREATE FUNCTION rollcall_timestamp(value text)
RETURNS timestamptz
LANGUAGE sql
STABLE
PARALLEL SAFE
RETURN CASE
    WHEN value !~ '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]{1,32})?([Zz]|[+-](0[0-9]|1[0-5]):[0-5][0-9])$'
        OR value ~ '^(0000|0001-01-01|9999-12-31)'
    THEN NULL
    WHEN CAST(substr(value, 9, 2) AS integer) > extract(
        day FROM make_date(
            CAST(substr(value, 1, 4) AS integer), CAST(substr(value, 6, 2) AS integer), 1
        ) + interval '1 month' - interval '1 day'
    )
    THEN NULL
    ELSE CAST(
        upper(regexp_replace(value, '([.][0-9]{6})[0-9]+', '\1')) AS timestamptz
    )
END;
COMMENT ON FUNCTION rollcall_timestamp(text) IS
    'The instant of a timestamp of RFC 3339 with an offset; NULL for any other text. Digits beyond microseconds are cut';
