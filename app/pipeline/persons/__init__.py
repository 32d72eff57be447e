"""Persons, and how they are found in what was sent: erasure, export and search."""
