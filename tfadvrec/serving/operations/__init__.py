"""What surrounds a servable in a server: warm-up, configs, descriptions."""
