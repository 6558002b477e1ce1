"""How item vectors are kept and searched."""
