"""Queries of stored events."""
