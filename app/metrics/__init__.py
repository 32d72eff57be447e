"""Metrics of all workers for Prometheus, readable at any worker."""
