"""Networks and image generators."""
