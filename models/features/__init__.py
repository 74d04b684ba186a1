"""Networks that turn pictures into features, for losses and for metrics."""
