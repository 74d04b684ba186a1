"""Data at rest: plan, tar and parquet, publish, verify, random-access read."""
