"""Events divided into buckets, each on a shard of Citus; unused on a single server."""
