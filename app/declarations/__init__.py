"""Reading of event declarations from files."""
