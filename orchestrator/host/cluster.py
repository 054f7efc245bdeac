# SPDX-License-Identifier: GPL-2.0-or-later
"""Work on the machines of a Dask cluster. The one place that knows Dask; nothing else imports it."""

import asyncio
import logging
import math
import secrets
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import asyncssh
import distributed
from distributed.scheduler import KilledWorker

from orchestrator.host.deadline import Deadline, now, raise_if_cancelled, scope
from orchestrator.host.errors import ClusterGone, InfraError, OutOfTime, UserError, WorkerLost

T = TypeVar("T")

_KEYS = "patchrig-"
_CONNECT_SECONDS = 30.0
# Time for workers that start together with the run, or that a batch system starts again.
_WORKERS_SECONDS = 120.0
_LOOK_SECONDS = 2.0
_JUST_NOW_SECONDS = 0.2
_RESULT_SECONDS = 10.0
_HINT = "patchrig resume RUN  # when the cluster is back; --cluster tcp://HOST:PORT if it is at another address"

_TLS_HINT = "export DASK_DISTRIBUTED__COMM__TLS__CA_FILE=ca.pem  # and so on: docs/nightly.md, Certificates"


@dataclass(frozen=True, kw_only=True, slots=True)
class OverSsh:
    """Machines on which a cluster is to be started."""

    hosts: tuple[str, ...]  # as `ssh HOST` knows them; the scheduler is on the first
    config: Path | None  # an ssh_config(5); None: ~/.ssh/config
    python: str = sys.executable  # on the hosts

    @property
    def connection(self) -> dict[str, Any]:
        """What asyncssh is told beside a host."""
        return {"config": [str(self.config)]} if self.config else {}

    def by_hand(self, host: str) -> str:
        """What shows on a terminal whether a worker could be started."""
        ssh = f"ssh -F {self.config}" if self.config else "ssh"
        return f"{ssh} {host} {self.python} -c \\'import distributed, orchestrator\\'"

    def __str__(self) -> str:
        return ", ".join(self.hosts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    """A worker, and how much it has of each resource."""

    address: str
    resources: Mapping[str, float]


@dataclass(kw_only=True, slots=True)
class Cluster:
    """A cluster that we are connected to. Threads may use it at the same time."""

    client: Any
    _topic: str = field(default_factory=lambda: f"{_KEYS}{secrets.token_hex(8)}")
    _begun: dict[str, str] = field(default_factory=dict)  # task -> the worker that has begun it
    _on_begin: dict[str, Callable[[], None]] = field(default_factory=dict)
    _waits: set[threading.Event] = field(default_factory=set)
    _workers: tuple[Worker, ...] = ()
    _looked: float = -math.inf  # when we last did
    _looking: threading.Lock = field(default_factory=threading.Lock)
    _gone: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Those that were there a few seconds ago."""
        return self._workers

    def run(
        self,
        work: Callable[..., T],
        *arguments: object,
        resources: Mapping[str, float],
        on_begin: Callable[[], None],
        avoid: Collection[str] = (),
        prefer: str = "",
        only: str = "",
    ) -> tuple[str, T]:
        """Do the work on a worker that has the resources, and return the worker and what the work returns.

        `avoid`: workers that are used only if no other is left; `prefer`: one that is used unless another is idle;
        `only`: one for which the work waits as long as it is there. `on_begin` is called each time that a worker
        begins. Raises WorkerLost, ClusterGone, and Cancelled when the caller's scope is cancelled: the work may then
        go on.
        """
        key = f"{_KEYS}{secrets.token_hex(12)}"
        wanted = [only or prefer] if only or prefer else self._others(avoid)
        done = threading.Event()
        with self._lock:
            self._on_begin[key] = on_begin
            self._waits.add(done)
        try:
            self._check()
            future = self.client.submit(
                _begin, self._topic, key, work, arguments, key=key, pure=False, resources=dict(resources),
                **({"workers": wanted, "allow_other_workers": not only} if wanted else {}),
            )  # fmt: skip
            future.add_done_callback(lambda _: done.set())
            with scope().ending(done.set):
                return self._result(key, future, done, only)  # type: ignore[no-any-return]  # of _begin()
        finally:
            with self._lock:
                self._waits.discard(done)
                self._on_begin.pop(key, None)
                self._begun.pop(key, None)

    def _others(self, avoid: Collection[str]) -> list[str]:
        """All workers but those to avoid; none where there is nothing to avoid."""
        return [worker.address for worker in self.workers if worker.address not in avoid] if avoid else []

    def _result(self, key: str, future: Any, done: threading.Event, only: str) -> Any:
        while True:
            while not done.wait(_LOOK_SECONDS if only else None):
                if only not in {worker.address for worker in self.workers}:
                    # Dask would wait until it comes back.
                    future.cancel()
                    raise WorkerLost(only, "it was lost", begun=self._begun.get(key) == only)
            raise_if_cancelled()
            self._check()
            try:
                return future.result(timeout=_RESULT_SECONDS)
            except KilledWorker as e:
                lost = e.last_worker.address
                raise WorkerLost(lost, "it was lost", begun=self._begun.get(key) == lost) from e
            except CancelledError as e:
                raise ClusterGone("the connection to the scheduler broke", hint=_HINT) from e
            except TimeoutError:
                # The worker was lost with the result: Dask has the work done again.
                continue

    def call(self, worker: str, work: Callable[..., T], *arguments: object) -> T:
        """Do something short on this worker, now, and return what it returns. Raises WorkerLost and ClusterGone."""
        raise_if_cancelled()
        if not self._is_there(worker):
            # Dask would try for half a minute to reach it.
            raise WorkerLost(worker, "it was lost", begun=True)
        answer = self._answers(work, arguments, [worker]).get(worker)
        if isinstance(answer, Exception):
            raise WorkerLost(worker, f"{type(answer).__name__}: {answer}", begun=True) from answer
        return answer  # type: ignore[return-value]  # the type is that of `work`

    def everywhere(self, work: Callable[..., T], *arguments: object) -> dict[str, T]:
        """Do something short on all workers; what those that can be reached return. Raises ClusterGone."""
        answers = self._answers(work, arguments, None)
        return {worker: answer for worker, answer in answers.items() if not isinstance(answer, Exception)}

    def _answers(
        self, work: Callable[..., T], arguments: Sequence[object], workers: list[str] | None
    ) -> dict[str, T | Exception]:
        self._check()
        try:
            return self.client.run(_in_thread, work, arguments, workers=workers, on_error="return")  # type: ignore[no-any-return]
        except (OSError, CancelledError, ValueError) as e:
            raise ClusterGone(f"the scheduler does not answer: {e}", hint=_HINT) from e

    def _check(self) -> None:
        if self._gone:
            raise ClusterGone(self._gone, hint=_HINT)

    def _heard(self, event: tuple[float, Mapping[str, str]]) -> None:
        """A worker has begun something."""
        key, worker = event[1]["key"], event[1]["worker"]
        with self._lock:
            on_begin = self._on_begin.get(key)
            if on_begin:
                self._begun[key] = worker
        if on_begin:
            on_begin()

    def look(self) -> bool:
        """See which workers there are, and whether there is any. Raises ClusterGone."""
        try:
            # All of them: some releases of Dask tell of five where nobody says how many.
            workers = self.client.scheduler_info(n_workers=-1)["workers"] if self.client.status == "running" else None
        except (OSError, CancelledError, ValueError):
            workers = None
        if workers is None:
            raise ClusterGone("the scheduler does not answer any more", hint=_HINT)
        self._workers = tuple(
            Worker(address=address, resources=dict(known["resources"])) for address, known in workers.items()
        )
        self._looked = now()
        return bool(self._workers)

    def _is_there(self, worker: str) -> bool:
        """Whether the cluster has this worker. The answer is as long as there are workers: threads share a look."""
        with self._looking:
            if now() - self._looked > _JUST_NOW_SECONDS or not self._knows(worker):
                self.look()
            return self._knows(worker)

    def _knows(self, worker: str) -> bool:
        return any(known.address == worker for known in self.workers)

    def watch(self, closing: threading.Event) -> None:
        """Look again and again until `closing` is set, and end all waits where the cluster is gone."""
        without = Deadline.after(_WORKERS_SECONDS, "a worker of the cluster")
        while not closing.wait(_LOOK_SECONDS):
            try:
                if self.look():
                    without = Deadline.after(_WORKERS_SECONDS, without.what)
                elif without.passed():
                    self._gone = f"the cluster has had no worker for {_WORKERS_SECONDS:g} s"
            except ClusterGone as e:
                self._gone = str(e)
            if self._gone:
                with self._lock:
                    for wait in self._waits:
                        wait.set()
                return


@contextmanager
def connected(where: str | OverSsh, capacity: Callable[[int], Mapping[str, float]]) -> Iterator[Cluster]:
    """The cluster of the scheduler at an address, or one that is started over SSH for the length of the block.

    `capacity`: what a worker with so many threads has of each resource that it was not started with.
    Raises InfraError where it can't be reached, or has no worker.
    """
    # What it says of workers that come and go, we say in our own words.
    for name in [name for name in logging.root.manager.loggerDict if name.startswith(("distributed", "asyncssh"))]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        address = where if isinstance(where, str) else stack.enter_context(_over_ssh(where))
        client = stack.enter_context(_client(address))
        cluster = Cluster(client=client)
        client.subscribe_topic(cluster._topic, cluster._heard)
        _tell_plugins(client, where, capacity)
        _await_worker(cluster, str(where))
        closing = threading.Event()
        watch = threading.Thread(target=cluster.watch, args=(closing,), name="cluster", daemon=True)
        watch.start()
        try:
            yield cluster
        finally:
            closing.set()


@contextmanager
def _client(address: str) -> Iterator[Any]:
    try:
        client: Any = distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    except TypeError as e:
        # What Dask says where it has been told of no certificate.
        if not address.startswith("tls://"):
            raise
        raise InfraError(f"{address} wants a certificate: {e}", hint=_TLS_HINT) from e
    except (OSError, ValueError, ImportError) as e:
        hint = _TLS_HINT if address.startswith("tls://") else "dask scheduler  # starts one"
        raise InfraError(f"no Dask scheduler answers at {address}: {e}", hint=hint) from e
    try:
        yield client
    finally:
        with suppress(OSError, CancelledError, RuntimeError):
            client.close(timeout=_RESULT_SECONDS)


@contextmanager
def _over_ssh(machines: OverSsh) -> Iterator[str]:
    """The address of a scheduler on the first of the hosts, with a worker on each of them."""
    asyncio.run(_check_hosts(machines))
    first, options = machines.hosts[0], machines.connection
    try:
        cluster = distributed.SSHCluster(
            [first, *machines.hosts], connect_options=options, remote_python=machines.python
        )
    # asyncssh's errors have no other class in common, and Dask raises Exception itself.
    except Exception as e:
        raise InfraError(f"Dask can't be started on {machines}: {e}", hint=machines.by_hand(first)) from e
    with cluster:
        yield cluster.scheduler_address


async def _check_hosts(machines: OverSsh) -> None:
    """Raise InfraError for a host that can't be reached, or lacks Dask: SSHCluster does not name it."""
    await asyncio.gather(*(_check_host(machines, host) for host in machines.hosts))


async def _check_host(machines: OverSsh, host: str) -> None:
    try:
        async with asyncio.timeout(_CONNECT_SECONDS), asyncssh.connect(host, **machines.connection) as connection:
            ran = await connection.run(f"{machines.python} -c 'import distributed, orchestrator'")
    except TimeoutError as e:
        raise InfraError(f"{host} does not answer over SSH", hint=machines.by_hand(host)) from e
    except (OSError, asyncssh.Error) as e:
        raise InfraError(f"{host} can't be reached over SSH: {e}", hint=machines.by_hand(host)) from e
    if ran.exit_status != 0:
        said = str(ran.stderr or "").strip().splitlines() or ["no answer"]
        why = f"{host}: {machines.python} can't be used: {said[-1]}"
        raise InfraError(why, hint=f"{machines.by_hand(host)}  # must say nothing; --hosts-python names another Python")


def _tell_plugins(client: Any, where: str | OverSsh, capacity: Callable[[int], Mapping[str, float]]) -> None:
    """Give the cluster what it has to know of us; again where a worker is lost meanwhile."""

    def registered() -> bool:
        try:
            client.register_plugin(_rules_of_ours(), name="patchrig-rules")
            client.register_plugin(_Resources(capacity), name="patchrig-resources")
        except (ImportError, AttributeError) as e:
            why = f"a worker of {where} has no patchrig, or another one: {e}"
            raise UserError(why, hint="make setup  # in patchrig's folder on each worker, the same version") from e
        except (OSError, CancelledError) as e:
            if client.status != "running":
                raise ClusterGone(f"the scheduler does not answer: {e}", hint=_HINT) from e
            return False
        return True

    until = Deadline.after(_CONNECT_SECONDS, "an answer of all workers")
    try:
        until.until(registered, every=0.2)
    except OutOfTime as e:
        raise ClusterGone(f"the cluster at {where} does not answer: {e}", hint=_HINT) from e


def _await_worker(cluster: Cluster, where: str) -> None:
    until = Deadline.after(_CONNECT_SECONDS, "a worker of the cluster")
    try:
        until.until(cluster.look, every=0.2)
    except OutOfTime as e:
        hint = "dask worker tcp://HOST:PORT  # on each machine that is to run guests"
        raise InfraError(f"the cluster at {where} has no worker", hint=hint) from e


def _begin(topic: str, key: str, work: Callable[..., T], arguments: Sequence[object]) -> tuple[str, T]:
    """On a worker: say that the work has begun, and do it."""
    worker = distributed.get_worker()
    worker.log_event(topic, {"key": key, "worker": worker.address})
    return worker.address, work(*arguments)


async def _in_thread(work: Callable[..., T], arguments: Sequence[object]) -> T:
    """On a worker: do it, and let the worker answer others meanwhile."""
    return await asyncio.to_thread(work, *arguments)


class _Resources(distributed.WorkerPlugin):
    """On each worker, also on those that come later: its resources, as far as it was not started with them."""

    def __init__(self, capacity: Callable[[int], Mapping[str, float]]) -> None:
        self.capacity = capacity

    async def setup(self, worker: Any) -> None:
        known = worker.state.total_resources
        missing = {name: much for name, much in self.capacity(worker.state.nthreads).items() if name not in known}
        if missing:
            await worker.set_resources(**missing)


def _rules_of_ours() -> Any:
    """A plugin of the scheduler for what Dask does in another way.

    We are told of the first worker that is lost with a task of ours: Dask would try three more. And tasks that no
    worker had the resources for are given out when a worker gets them: Dask does that only when a worker comes, and
    ours have no resources then.
    """

    # Inside of a function it travels as code: a scheduler need not have patchrig.
    class RulesOfOurs(distributed.SchedulerPlugin):
        async def start(self, scheduler: Any) -> None:
            self.scheduler = scheduler
            scheduler.handlers["set_resources"] = self.set_resources

        def set_resources(self, worker: str, resources: Any = None) -> Any:
            answer = self.scheduler.add_resources(worker=worker, resources=resources)
            state = self.scheduler.workers[worker]
            waiting = self.scheduler.bulk_schedule_unrunnable_after_adding_worker(state)
            self.scheduler.transitions(waiting, stimulus_id="patchrig-resources")
            return answer

        def transition(self, key: Any, start: str, finish: str, *_: Any, **__: Any) -> None:  # noqa: ARG002  # Dask's names
            if finish == "processing" and str(key).startswith("patchrig-"):
                self.scheduler.tasks[key].suspicious = self.scheduler.allowed_failures

    return RulesOfOurs()
