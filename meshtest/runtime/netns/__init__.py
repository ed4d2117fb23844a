"""Pods without containers and without root: Linux namespaces, netlink and one supervisor.

    pytest ── sandbox ─┬─ control socket ─► supervisor = PID 1 of the sandbox's PID namespace
                       ├─ descriptors ◄──── (the read ends of the sidecars' access logs)
                       ├─ control plane ──► forked by the supervisor
                       └─ driver ─────────► forked by the supervisor

`launcher` enters the namespaces and forks the supervisor; whichever of pytest, launcher or supervisor
dies, the kernel ends everything else, and with the last process go every mount, link, rule and file.
"""
