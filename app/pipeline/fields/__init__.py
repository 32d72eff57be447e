"""The fields of one event: their names, and values that need care."""
