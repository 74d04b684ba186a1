"""Image generators: what turns planned samples into pictures, stage by stage."""
