"""Models and declarations of events; pure, without I/O, clock or settings."""
