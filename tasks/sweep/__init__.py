"""What the cells of a sweep have reached, as choices and as tables."""
