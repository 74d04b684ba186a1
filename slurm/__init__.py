"""Where work runs on Slurm. The only importer of submitit; workflows hands it what it runs."""
