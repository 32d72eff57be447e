"""What an event is: pure functions and models, without I/O, clock or settings."""
