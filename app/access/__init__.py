"""Authentication: which key or session a request carries, and whose it is."""
