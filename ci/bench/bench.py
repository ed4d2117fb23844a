"""Benchmarks of what users wait for. Ratios are measured side by side in one run; absolute times are this machine's.

python ci/bench/bench.py [cold] [swap] [scenario] [driver] [faults] [plugin] [docker]      (default: all but docker)
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshtest.runtime.docker.client import Daemon

ROOT = Path(__file__).resolve().parents[2]
BOOKINFO = [ROOT / "fixtures/bookinfo"]

SCENARIO = """\
apiVersion: meshtest.dev/v1
kind: Scenario
metadata: {{name: {name}}}
spec:
  manifests: ["{manifests}"]
  traffic: {{from: productpage-v1, request: {{url: "http://reviews:9080/"}}, requests: 10}}
  expect: [{{successRate: {{atLeast: 100%}}}}, {{answeredBy: reviews-v1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews}}
spec: {{hosts: [reviews], http: [{{route: [{{destination: {{host: reviews, subset: v1}}}}]}}]}}
"""

POLICY = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews}}
spec: {{hosts: [reviews], http: [{{route: [{{destination: {{host: reviews, subset: v{version}}}}}]}}]}}
"""

DENIAL = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: denial}}
spec:
  selector: {{matchLabels: {{app: WORKLOAD}}}}
  action: DENY
  rules: [{{to: [{{operation: {{paths: ["/secret{version}"]}}}}]}}]
"""
SWAPPED = {
    "VirtualService": POLICY,
    "AuthorizationPolicy of one sidecar": DENIAL.replace("WORKLOAD", "ratings"),
    "AuthorizationPolicy of three sidecars": DENIAL.replace("WORKLOAD", "reviews"),
}


def show(name: str, seconds: Sequence[float], *, unit: str = "ms") -> None:
    """One line: median, minimum and maximum."""
    factor = 1000 if unit == "ms" else 1
    low, middle, high = min(seconds) * factor, statistics.median(seconds) * factor, max(seconds) * factor
    print(
        f"{name:58} median {middle:9.2f} {unit}   min {low:9.2f}   max {high:9.2f}   n={len(seconds)}",
        flush=True,
    )


def _pytest(folder: Path, *arguments: str) -> tuple[float, str]:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "mesh", "--durations=0", "-vv", *arguments],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    took = time.perf_counter() - began
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    return took, done.stdout


def cold() -> None:
    """`pytest -m mesh` with one scenario, everything from process start to exit; and the mesh's own part."""
    from meshtest import Mesh

    with tempfile.TemporaryDirectory() as folder:
        text = SCENARIO.format(name="one", manifests=BOOKINFO[0])
        (Path(folder) / "one.mesh.yaml").write_text(text, encoding="utf-8")
        show("pytest -m mesh, one scenario, cold", [_pytest(Path(folder))[0] for _ in range(5)])
    firsts: list[float] = []
    for _ in range(5):
        began = time.perf_counter()
        with Mesh.from_manifests(*BOOKINFO) as mesh:
            answer = mesh.request("productpage-v1", "http://reviews:9080/")
            assert answer.status == 200, answer
            firsts.append(time.perf_counter() - began)
    show("manifests to the first answered request", firsts)


def swap(runtime: str = "auto") -> None:
    """One policy replaced until every sidecar has it and none can still meet the old one."""
    from meshtest import Mesh

    with Mesh.from_manifests(*BOOKINFO, runtime=runtime) as mesh:
        for name, policy in SWAPPED.items():
            times = []
            for number in range(60):
                began = time.perf_counter()
                mesh.replace(policy.format(version=number % 3 + 1))
                times.append(time.perf_counter() - began)
            show(f"policy swap, {name}", times[10:])


def docker() -> None:
    """A mesh of containers beside as many containers that Docker starts with nothing in them; and its policy swaps."""
    from meshtest import Mesh
    from meshtest.runtime.docker.client import Daemon
    from meshtest.runtime.docker.image import find_or_build

    daemon = Daemon()
    image = find_or_build(daemon, print)
    firsts: list[float] = []
    bare: list[float] = []
    for _ in range(5):
        began = time.perf_counter()
        with Mesh.from_manifests(*BOOKINFO, runtime="docker") as mesh:
            answer = mesh.request("productpage-v1", "http://reviews:9080/")
            assert answer.status == 200, answer
            firsts.append(time.perf_counter() - began)
            pods = len(mesh.pods)
        bare.append(_bare_containers(daemon, image, pods))
    show("docker: manifests to the first answered request", firsts)
    show(f"docker itself, {3 * pods + 3} containers in parallel", bare)
    show("ratio", [a / b for a, b in zip(firsts, bare, strict=True)], unit="x")
    daemon.close()
    swap("docker")


def _bare_containers(daemon: Daemon, image: str, pods: int) -> float:
    """Seconds until Docker runs as many containers as such a mesh has: three per pod in one network, and three more."""
    from concurrent.futures import ThreadPoolExecutor

    from meshtest.runtime.docker import cleaning
    from meshtest.runtime.docker.client import ContainerSpec
    from meshtest.runtime.docker.labels import Run
    from meshtest.runtime.docker.network import Network

    run = Run.new()
    network = Network(name=run.name, prefix="10.199")
    words = ["python3", "-I", "-S", "-c", "import time; time.sleep(600)"]

    def one(name: str, host: dict[str, Any], within: str | None) -> str:
        spec = ContainerSpec(
            name=f"{run.name}-{name}",
            image=image,
            command=words,
            labels=run.labels,
            host=host,
            network=within,
        )
        made = daemon.create(spec)
        daemon.start(made, name)
        return made

    def pod(number: int) -> None:
        owner = one(f"{number}", {}, run.name)
        joins = {"network_mode": f"container:{owner}"}
        list(pool.map(lambda part: one(f"{number}-{part}", joins, None), ("a", "b")))

    try:
        with ThreadPoolExecutor(64) as pool:
            began = time.perf_counter()
            daemon.create_network(run.name, network.subnet, network.gateway, run.labels)
            started = [pool.submit(pod, number) for number in range(pods)]
            started += [pool.submit(one, name, {}, run.name) for name in ("plane", "resolver", "reaper")]
            for each in started:
                each.result()
            return time.perf_counter() - began
    finally:
        cleaning.remove(daemon, cleaning.of_run(daemon, run.name))


def scenario() -> None:
    """A further deterministic scenario on a running mesh: pytest's own call time."""
    with tempfile.TemporaryDirectory() as folder:
        text = "---\n".join(SCENARIO.format(name=f"n{n}", manifests=BOOKINFO[0]) for n in range(12))
        (Path(folder) / "more.mesh.yaml").write_text(text, encoding="utf-8")
        _, output = _pytest(Path(folder))
        calls = [float(found) for found in re.findall(r"([\d.]+)s call ", output)]
        show("further scenario on a running mesh", sorted(calls)[:-1])


def driver() -> None:
    """Our driver against `wrk -c16` on the same path, alternating: caller's sidecar, mTLS, callee's sidecar."""
    from meshtest import Mesh

    wrk = shutil.which("wrk")
    if wrk is None:
        sys.exit("bench driver: wrk is not installed (apt-get install wrk)")
    with Mesh.from_manifests(*BOOKINFO) as mesh:
        mesh.replace(POLICY.format(version=1))
        url = "http://reviews:9080/"
        address = next(service.cluster_ip for service in mesh.services if service.name == "reviews")
        ours, theirs = [], []
        for _ in range(5):
            began = time.perf_counter()
            history = mesh.send("productpage-v1", url, requests=6000, concurrency=16)
            span = max(e.started + e.latency for e in history.exchanges) - min(
                e.started for e in history.exchanges
            )
            assert all(e.status == 200 for e in history.exchanges)
            ours.append(len(history.exchanges) / span)
            print(
                f"    send() incl. evidence {time.perf_counter() - began:.2f} s, traffic alone {span:.2f} s"
            )
            argv = [wrk, "-t1", "-c16", "-d2s", "-H", "Host: reviews:9080", f"http://{address}:9080/"]
            out = mesh.execute("productpage-v1", argv).stdout
            theirs.append(float(re.search(r"Requests/sec:\s*([\d.]+)", out)[1]))  # type: ignore[index]
        show("driver, requests per second", ours, unit="1/s")
        show("wrk -c16, requests per second", theirs, unit="1/s")
        show("driver / wrk", [a / b for a, b in zip(ours, theirs, strict=True)], unit="x")


def faults() -> None:
    """Injecting and recovering an HTTP fault; and a thousand requests, each with a fault of its own, in one load."""
    from meshtest import Mesh
    from meshtest import faults as make
    from meshtest.envoy.marks import FaultMark, baggage_member
    from meshtest.traffic.client import Traffic
    from meshtest.traffic.model import Request

    with Mesh.from_manifests(*BOOKINFO) as mesh:
        mesh.replace(POLICY.format(version=1))
        times = []
        for _ in range(50):
            began = time.perf_counter()
            with mesh.inject(make.abort(to="ratings", http_status=503)):
                times.append(time.perf_counter() - began)
                began = time.perf_counter()
            times.append(time.perf_counter() - began)
        show("inject or recover an HTTP fault", times)
        marks = [
            FaultMark(
                id=f"f{n}",
                targets=("default/reviews-v1",),
                actions=(f"abort:{400 + n % 190}",),
                path=f"^/{'x' * (n % 7)}",
            )
            for n in range(1000)
        ]
        request = Request(url="http://reviews:9080/xxxxxxx", reuse=True)
        plan = Traffic(
            caller="default/productpage-v1-0", requests=[request], count=1000, concurrency=16,
            marks=[(baggage_member(mark), [n]) for n, mark in enumerate(marks)],
        )  # fmt: skip
        spans = []
        for _ in range(5):
            found = mesh._sender._driver.send(plan)  # the driver alone, without the wait for log lines
            assert [one.status for one in found] == [400 + n % 190 for n in range(1000)]
            spans.append(max(one.started + one.latency for one in found) - min(one.started for one in found))
        show("1,000 requests, each with another fault", spans)


def plugin() -> None:
    """What the installed plugin costs a session that collects no mesh test."""

    def run(*extra: str) -> float:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "test_nothing.py").write_text("def test_nothing(): pass\n", encoding="utf-8")
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *extra], cwd=folder,
                capture_output=True, check=True,
            )  # fmt: skip
            return time.perf_counter() - began

    with_plugin, without = [], []
    for _ in range(11):
        with_plugin.append(run())
        without.append(run("-p", "no:meshtest"))
    show("pytest with the plugin, no mesh test", with_plugin)
    show("pytest without it", without)
    show("difference", [a - b for a, b in zip(with_plugin, without, strict=True)])


BENCHES: dict[str, Callable[[], None]] = {
    "cold": cold, "swap": swap, "scenario": scenario, "driver": driver, "faults": faults, "plugin": plugin,
    "docker": docker,
}  # fmt: skip

if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every process compiles meshtest anew, as no user's
    for name in sys.argv[1:] or [name for name in BENCHES if name != "docker"]:
        BENCHES[name]()
