"""Numbers from arrays: images and people. Pure functions."""
