"""Envoy: its binary, its bootstrap, what meshtest adds to istiod's configuration, and the server that delivers it."""
