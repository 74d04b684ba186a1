"""Adapters: small trainable parts beside the frozen layers of a network, and their files."""
