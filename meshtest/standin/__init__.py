"""The application of a workload whose image cannot run: it says who it is and what it received."""
