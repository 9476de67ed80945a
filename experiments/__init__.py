"""Studies: each module is one Hydra entry point. The only code that knows configuration, disk and plots."""
