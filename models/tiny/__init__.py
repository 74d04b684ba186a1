"""Checkpoints of a few hundred kB in the real layout, with seeded random weights.

They are loaded by exactly the code that loads the real ones. What they draw means nothing.
"""
