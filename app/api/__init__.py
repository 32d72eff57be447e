"""Routes for machines: health, metrics, schemas, OpenAPI and the read API."""
