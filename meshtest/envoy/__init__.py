"""Envoy: its binary and bootstrap, what meshtest adds to istiod's configuration, its delivery."""
