"""The composition root: builds the parts of the service from the settings."""
