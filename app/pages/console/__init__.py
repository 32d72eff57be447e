"""The operator's console: rejected events, search, sources and keys."""
