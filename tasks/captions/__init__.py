"""The parts of captioning: its pictures, what people decide, sidecars, and the report."""
