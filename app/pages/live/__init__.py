"""The live page: a stream of new events."""
