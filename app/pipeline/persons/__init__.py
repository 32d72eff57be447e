"""Finding persons in payloads, for erasure, export and search."""
