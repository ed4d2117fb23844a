"""Pods as real containers, on any Docker daemon that the environment names.

    pytest ─ Docker API ─┬─► control plane   xds.sock on the run's volume (tmpfs)
       (attach and exec  ├─► resolver        every pod's name server, in the run's network
        streams carry    ├─► reaper          removes all of the run when pytest's end of its stream is gone
        `wire` frames)   └─► pod ─┬ sidecar       holder (PID 1, owns the network namespace) ─► Envoy; driver by exec
                                  ├ application   joins the namespace: the user's image, or the stand-in
                                  └ init          short-lived, the only one with NET_ADMIN: redirects, cluster IPs

One image for all roles of meshtest (`image`). Everything carries the run's label (`labels`); what a dead run left is
removed by the next start (`cleaning`). Nothing of the host is mounted but the daemon's own socket, into the reaper.
"""
