"""The parts of Face Score (paper 3): faces in pictures, and a scorer that learns."""
