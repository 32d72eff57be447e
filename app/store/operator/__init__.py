"""Tools of the operator: causes of errors, checks, rights and psql."""
