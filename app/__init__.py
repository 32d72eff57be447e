"""Rollcall: HTTP ingestion of B2B SaaS lifecycle events into Postgres."""
