"""Logs larger than memory: prepared shard by shard, and trained on while they are read."""
