"""Stable Diffusion 1.5 in its parts, for training; whole pictures are made by its pipelines."""
