"""Work over many items: here, one after the other, or by the workers of a Dask cluster.

`outcomes(function, items, executor)` is the one call. An executor is anything with the interface of
`concurrent.futures.Executor`; `open_executor` makes those of Dask. What all items need and is long to build goes along
as a `Shared`, of `drgan_lib.shared`. An item depends on itself only, and what its function writes appears whole:
whether one process or a thousand do the work, and how often one of them is lost, the results are the same.
"""

import logging
import os
import platform
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from drgan_lib.digest import PACKAGE, digest, file_digest
from drgan_lib.errors import DrganError

T = TypeVar("T")
LOCAL = "dask"  # the executor that is made here
VARIABLE = "DRGAN_EXECUTOR"  # by which the chapters of a run hear of it; no result depends on it
AHEAD = 1000  # items handed over before their turn: enough for as many workers, whatever the number of items
CONNECT_S = 10
MATTERS = ("mitsuba", "torch", "numpy")  # to the numbers


class ExecutorError(DrganError, RuntimeError):
    """Workers that cannot be had, cannot do the work, or were lost; the message says what to do."""


@contextmanager
def open_executor(name: str | None, folder: str | Path) -> Iterator[Executor | None]:
    """The executor called `name`: "dask", a worker per core of this machine, or the address of Dask's scheduler.

    None stands for the name in the environment variable `DRGAN_EXECUTOR`; without one there is no executor, None.
    Raises `ExecutorError`, within seconds, if Dask is not installed, if no scheduler or worker answers, and if a worker
    has other code, several threads, or does not see `folder`, where results will be written.
    """
    name = name or os.environ.get(VARIABLE)
    if not name:
        yield None
        return
    _require_dask(name)
    # Imported late: it is an extra.
    from distributed import Client

    if name == LOCAL:
        with _local_cluster() as cluster, Client(cluster) as client:
            # Not pure: an item that is tried again is another task, and not the failed one that Dask remembers.
            yield client.get_executor(pure=False)
        return
    try:
        client = Client(name, timeout=CONNECT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise ExecutorError(
            f"no scheduler of Dask answers at {name} ({type(error).__name__}); start one (dask scheduler), or correct "
            "the address"
        ) from None
    with client:
        _require_able_workers(client, Path(folder))
        yield client.get_executor(pure=False)


@contextmanager
def local_workers(module: str) -> Iterator[None]:
    """Starts the workers of `DRGAN_EXECUTOR` dask once for many chapters; within, it is their scheduler's address.

    They import `module` meanwhile, which their work needs. For any other executor nothing is done.
    """
    if os.environ.get(VARIABLE) != LOCAL:
        yield
        return
    from distributed import Client, fire_and_forget

    with _local_cluster() as cluster, Client(cluster) as client:
        for worker in client.nthreads():
            fire_and_forget(client.submit(import_module, module, workers=worker, pure=False))
        os.environ[VARIABLE] = cluster.scheduler_address
        try:
            yield
        finally:
            os.environ[VARIABLE] = LOCAL


@contextmanager
def _local_cluster() -> Iterator[Any]:
    """A worker for each core of this machine."""
    import dask
    from distributed import LocalCluster

    # What goes wrong is said once, by who asked for it. The profiler would take 10 MiB a minute in every worker.
    quiet = {"silence_logs": logging.CRITICAL, "dashboard_address": ":0"}
    with (
        dask.config.set({"distributed.worker.profile.enabled": False}),
        LocalCluster(threads_per_worker=1, **quiet) as cluster,
    ):
        yield cluster


def check_executor(name: str | None, folder: str | Path) -> None:
    """Raises what `open_executor` would, before long work begins, and starts no workers."""
    name = name or os.environ.get(VARIABLE)
    if name == LOCAL:
        _require_dask(name)
    else:
        with open_executor(name, folder):
            pass


def _require_dask(name: str) -> None:
    if name != LOCAL and "://" not in name:
        raise ExecutorError(f"executor: expected dask or an address such as tcp://scheduler:8786, got {name!r}")
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise ExecutorError(
            f"the executor {name} needs Dask, which is not installed: pip install 'drgan[cluster]'"
        ) from None


def outcomes(function: Callable[[T], Any], items: Iterable[T], executor: Executor | None = None) -> Iterator:
    """Calls `function(item)` for all `items`; gives pairs of an item and its finished future, as they are done.

    Without `executor` the calls are made here, in order, each when it is asked for. With one, at most `AHEAD` items are
    under way, so that memory does not grow with their number; `function` and items have to be picklable. An item whose
    worker is lost is given to another one. `future.result()` raises what `function` raised for that item, which stops
    no other, and `ExecutorError` for one of which workers die. If the scheduler is lost, the error is raised here.
    """
    if executor is None:
        for item in items:
            yield item, _done(*_answer(function, item))
        return
    waiting, under_way, done = iter(items), {}, SimpleQueue()
    suspects: list[T] = []  # workers died that had them, perhaps for another item: they are tried again, alone

    def submit(item: T, *, last: bool = False) -> None:
        future = executor.submit(_answer, function, item)
        under_way[future] = item, last
        future.add_done_callback(done.put)

    try:
        while True:
            for item in islice(waiting, AHEAD - len(under_way)):
                submit(item)
            if not under_way and suspects:
                submit(suspects.pop(), last=True)
            if not under_way:
                return
            future = done.get()
            item, last = under_way.pop(future)
            if future.cancelled():
                raise ExecutorError(
                    "the scheduler of Dask, or the connection to it, was lost; what was written stands: start a "
                    "scheduler and give the same command again"
                )
            error = future.exception()  # not of the function
            if error is None:
                yield item, _done(*future.result())
            elif last:
                yield item, _done(None, ExecutorError(f"its workers were lost, perhaps for want of memory: {error}"))
            else:
                suspects.append(item)
    finally:
        for future in under_way:
            future.cancel()


def _answer(function: Callable[[T], Any], item: T) -> tuple[Any, Exception | None]:
    """What `function(item)` returns, and what it raises."""
    try:
        return function(item), None
    except Exception as error:
        return None, error


def _done(value: Any, error: Exception | None) -> Future:
    """A finished future of an answer."""
    future: Future = Future()
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
    return future


def _require_able_workers(client: Any, folder: Path) -> None:
    """Raises `ExecutorError` unless every worker of `client` has the code of this process, one thread and `folder`."""
    try:
        client.wait_for_workers(1, timeout=CONNECT_S)
    except TimeoutError:
        raise ExecutorError(
            f"{client.scheduler.address} has no workers; start some (dask worker), and wait until the first has come"
        ) from None
    token = folder.absolute() / f".seen-{uuid.uuid4().hex}"
    token.parent.mkdir(parents=True, exist_ok=True)
    token.touch()
    try:
        found = client.run(_look_around, token, on_error="return")
    finally:
        token.unlink()
    here, threads = fingerprint(), client.nthreads()
    for worker, answer in found.items():
        if isinstance(answer, Exception):
            raise ExecutorError(f"{worker} cannot work with this library: {answer}; install drgan there, too")
        sees, there = answer
        if there != here:
            raise ExecutorError(f"{worker} has {there}, but this process {here}; install the same on both")
        if not sees:
            raise ExecutorError(
                f"{worker} does not see {folder.absolute()}; keep results on a disk that all machines see by one path"
            )
        if threads[worker] != 1:
            raise ExecutorError(
                f"{worker} has {threads[worker]} threads, but a renderer works for one; start workers of one thread "
                "each: dask worker --nthreads 1 --nworkers CORES"
            )


def _look_around(token: Path) -> tuple[bool, str]:
    """Whether a worker sees `token`, and what it computes with."""
    return token.parent.is_dir() and token.name in os.listdir(token.parent), fingerprint()


@cache
def fingerprint() -> str:
    """Versions of what decides the numbers, and a digest of the code of this library, in words."""
    code = digest(" ".join(file_digest(path) for path in sorted(PACKAGE.rglob("*.py"))))
    versions = ", ".join(f"{name} {version(name)}" for name in MATTERS)
    return f"Python {platform.python_version()}, drgan of code {code}, {versions}"
