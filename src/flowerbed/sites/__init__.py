"""Sites: what a SuperNode that runs elsewhere is started with, and nothing else."""
