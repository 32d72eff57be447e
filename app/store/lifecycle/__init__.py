"""Retention, erasure, subject access and the audit log."""
