"""Write keys, read keys, sources and browser sessions."""
