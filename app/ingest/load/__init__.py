"""Limits of requests in flight: budgets of bytes, bounds, turns and deadlines."""
