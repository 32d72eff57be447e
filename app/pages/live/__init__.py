"""Live page: one poll of Postgres, streamed to all browsers that watch."""
