"""Which faces become pairs, and what became of them."""
