"""The parts of guidance (paper 3): its pairs, its step, its card."""
