"""Files of events: open, decode, read and count them."""
