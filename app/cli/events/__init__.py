"""`rollcall events`."""
