"""Where work runs on Slurm. The only importer of submitit; it receives what it runs from workflows."""
