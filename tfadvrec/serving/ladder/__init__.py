"""What a servable has to pass before, and after, it is published."""
