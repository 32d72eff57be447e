"""Authentication: the key or session of a request, and its holder."""
