"""Other recommenders, each in an environment of its own, behind one protocol."""
