"""A stand-in for a model server, for tests and trials."""
