"""Runs scenarios: a pool of meshes, one scenario on one of them, and what came of it."""
