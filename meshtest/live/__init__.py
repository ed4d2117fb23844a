"""A mesh that runs: what the Python API, scenarios and the CLI stand on."""
