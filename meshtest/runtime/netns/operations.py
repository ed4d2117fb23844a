"""What the supervisor can be asked to do."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from meshtest.runtime.base import Action, Part
from meshtest.runtime.netns import files, starting
from meshtest.runtime.netns.fault_operations import FaultOperations
from meshtest.runtime.netns.pending import Pending
from meshtest.runtime.netns.processes import execute
from meshtest.runtime.netns.site import roles_of
from meshtest.runtime.netns.supervisor import CONTROL_PLANE, DRIVER
from meshtest.runtime.netns.table import Refused, all_ready

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from meshtest.runtime.netns.processes import Process
    from meshtest.runtime.netns.site import Pod, Site

Answer = dict[str, Any]
Request = dict[str, Any]
_GRACE = 5.0


class Operations:
    """Every request that pytest's process can make."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._faults = FaultOperations(site)

    def begin(self, request: Request) -> Pending:
        """Start to work on a request."""
        operations: dict[str, Callable[[Request], Pending]] = {
            "start": self._start,
            "add_pods": self._add_pods,
            "remove_pods": self._remove_pods,
            "set_network": self._set_network,
            "role": self._role,
            "signal": self._signal,
            "execute": self._execute,
            "logs": self._logs,
            "state": self._state,
            **self._faults.operations,
        }
        return operations[request["op"]](request)

    def _start(self, request: Request) -> Pending:
        plan, site = request["plan"], self._site
        site.open(plan)
        site.mark("router")
        pods = site.make_pods(plan["pods"])
        site.mark("networks")
        site.warm([plan["driver"]["target"], *roles_of(pods)])
        site.mark("warm")
        site.start_own(DRIVER)
        site.start_applications(pods)
        site.mark("applications")

        def done() -> Answer | None:
            if not (all_ready(site.own.values()) and self._ready(pods)):
                return None
            site.mark("ready")
            return {"timings": site.timings}

        return Pending(done)

    def _ready(self, pods: Collection[Pod]) -> bool:
        parts = [process for pod in pods for process in pod.parts.values()]
        return all_ready(parts) and self._site.listening and self._site.names_known

    def _add_pods(self, request: Request) -> Pending:
        pods = self._site.make_pods(request["pods"])
        self._site.warm(roles_of(pods))
        self._site.start_applications(pods)
        return Pending(lambda: {} if self._ready(pods) else None)

    def _remove_pods(self, request: Request) -> Pending:
        gone = [self._site.forget(key) for key in request["keys"] if key in self._site.pods]
        processes = [process for pod in gone for process in pod.parts.values()]
        for process in processes:
            process.expected_end = True
            process.signal(signal.SIGKILL)

        def done() -> Answer | None:
            remaining = [process for process in processes if not process.gone()]  # ends what is left of each
            if remaining:
                return None
            for pod in gone:
                pod.place.close()
            self._site.tell_router()
            return {}

        return Pending(done)

    def _set_network(self, request: Request) -> Pending:
        self._site.set_network(request["network"])
        return Pending(lambda: {} if self._site.names_known else None)

    def _role(self, request: Request) -> Pending:
        fresh = self._site.add_own(request["name"], request["role"])
        return Pending(lambda: {"fresh": fresh})

    def _process(self, request: Request) -> Process:
        key, part = request["pod"], Part(request["part"])
        if key in self._site.own:
            return self._site.own[key]
        found = self._pod(key).parts.get(part)
        if found is None:
            raise Refused(f"{key} has no {part.value}")
        return found

    def _pod(self, key: str) -> Pod:
        if key not in self._site.pods:
            raise Refused(f"there is no pod {key}")
        return self._site.pods[key]

    def _signal(self, request: Request) -> Pending:
        process, action = self._process(request), Action(request["action"])
        if action is Action.START:
            return self._start_again(request, process)
        if action in {Action.PAUSE, Action.RESUME}:
            process.signal(signal.SIGSTOP if action is Action.PAUSE else signal.SIGCONT)
            return Pending(dict)
        process.expected_end = True
        process.signal(signal.SIGKILL if action is Action.KILL else signal.SIGTERM)
        process.signal(signal.SIGCONT)  # else one that is paused would never see the other
        return Pending(
            lambda: {} if process.gone() else None,
            within=_GRACE,
            late=lambda: process.signal(signal.SIGKILL),
        )

    def _start_again(self, request: Request, old: Process) -> Pending:
        if old.status is None:
            raise Refused(f"{old.name} is running")
        key = request["pod"]
        if key in self._site.own:
            if key not in self._site.channels:
                raise Refused(f"{old.report()}\nit had ended by itself, and its channel with it")
            again = self._site.start_own(key)
        elif Part(request["part"]) is Part.SIDECAR:
            again = self._site.start_sidecar(self._pod(key))
        else:
            application = self._pod(key).place.spec.application
            if application is None:
                raise Refused(f"{key} has no application")
            again = self._site.start_application(self._pod(key), application)
        return Pending(lambda: {} if all_ready([again]) and self._site.names_known else None)

    def _execute(self, request: Request) -> Pending:
        place = self._pod(request["pod"]).place
        argv, env = tuple(request["argv"]), starting.environment(place.spec, {})
        name = f"{request['pod']}: {' '.join(argv)}"
        process = self._site.forker.fork(
            name, lambda: execute(argv, env), place=place.namespaces, separate=True
        )
        process.expected_end = True
        self._site.table.add(process)

        def done() -> Answer | None:
            if process.status is None:
                return None
            for output in process.outputs:
                output.read()
            stdout, stderr = (output.text() for output in process.outputs)
            return {
                "returncode": os.waitstatus_to_exitcode(process.status),
                "stdout": stdout,
                "stderr": stderr,
            }

        def late() -> None:
            process.signal(signal.SIGKILL)
            raise Refused(f"{name} did not end within {request['within']:g} s")

        return Pending(done, within=request["within"], late=late)

    def _logs(self, request: Request) -> Pending:
        process = self._process(request)
        for output in process.outputs:
            output.read()
        return Pending(lambda: {"text": "".join(output.text() for output in process.outputs)})

    def _state(self, _: Request) -> Pending:
        """Who is not ready yet."""
        own = self._site.own.values()
        parts = [process for pod in self._site.pods.values() for process in pod.parts.values()]
        waiting = [
            process.report() for process in (*own, *parts) if not process.ready or process.status is not None
        ]
        if not self._site.listening:
            waiting += [
                self._site.own[CONTROL_PLANE].report() + f"\n{files.XDS_SOCKET} does not accept connections"
            ]
        return Pending(lambda: {"waiting": waiting})
