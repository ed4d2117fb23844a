"""Requests and the history: the driver that sends them, and the joining with what the sidecars logged."""
