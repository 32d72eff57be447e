"""From bytes to a record or a rejection; pure functions."""
