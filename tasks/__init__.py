"""What one unit of work does. Knows neither Ray nor Slurm nor a progress bar."""
