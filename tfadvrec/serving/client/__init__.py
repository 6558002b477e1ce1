"""Asks a model server."""
