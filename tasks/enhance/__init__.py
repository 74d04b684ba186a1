"""The parts of enhancing: which head, which pictures, and what is noted of them."""
