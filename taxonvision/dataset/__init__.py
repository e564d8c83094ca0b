"""A catalog becomes shards, and shards become batches."""
