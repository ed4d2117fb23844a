"""meshtest's own processes in a sandbox, as `package.module:function`; nothing is loaded for knowing them."""

CONTROL_PLANE = "meshtest.envoy.server:main"
DRIVER = "meshtest.traffic.driver:main"
STANDIN = "meshtest.standin.server:main"
EVERYWHERE = (CONTROL_PLANE, DRIVER, STANDIN)
"""What nearly every sandbox runs, the control plane first."""
