"""The processes of `rollcall serve`: a parent, and workers that can be replaced."""
