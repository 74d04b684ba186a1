"""Face Score (paper 3): ImageReward's network for faces, its files, how it learns from pairs."""
