"""Load: bodies of events, and clients that send them."""
