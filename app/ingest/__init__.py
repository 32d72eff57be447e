"""`POST /track` and the SDK routes: from the request to the response."""
