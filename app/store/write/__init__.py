"""Group commit: from entries to rows."""
