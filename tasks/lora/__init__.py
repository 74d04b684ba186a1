"""The parts of a LoRA's training (paper 2): pictures and texts, its step, what is kept."""
