"""The commands `rollcall rejected ...`."""
