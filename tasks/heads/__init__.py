"""The parts of a head's training: its objectives, its samples, and what is kept."""
