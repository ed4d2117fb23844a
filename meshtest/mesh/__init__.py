"""What the mesh was told: manifests with source locations, workloads, services, addresses, identities."""
