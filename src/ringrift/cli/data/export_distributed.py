"""`ringrift data export-distributed`: exports shared out to processes and hosts (`data.md` 6)."""

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.cli.data.distributed_options import DistributedOptions, command_of
from ringrift.cli.data.export_request import plans_of
from ringrift.cli.heavy import ready_for
from ringrift.cli.invocation import current
from ringrift.cli.lists import ListCommand, expand_paths
from ringrift.cli.output import Column
from ringrift.core.errors import NotRunningError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import typer

    from ringrift.cli.invocation import Invocation
    from ringrift.data.dataset import Plan
    from ringrift.data.distributed.authorization import Authorization
    from ringrift.data.distributed.coordinator import Coordinator
    from ringrift.data.distributed.publishing import Merged
    from ringrift.data.distributed.worker import Worked
    from ringrift.data.export.run import Exported, Exporter

COORDINATE, WORKER, MERGE, SPLIT, SERVE = "coordinate", "worker", "merge", "split", "serve"
_URLS = ("http://", "https://")


class DistributedCommand(ListCommand):
    """Take lists after `--db`, `--input`, `--ai-types`, `--merge` and `--mirror`."""

    list_options = frozenset({"--db", "--input"})
    word_options = frozenset({"--ai-types", "--merge", "--mirror"})


def export_distributed(options: DistributedOptions, shared: dict[str, Any]) -> None:
    """Export games by several processes and hosts as one process would.

    --coordinator reads the training and validation games of canonical stores, cuts them into chunks
    in spool/export, and writes DIR/<configuration>/<id> from what comes back; where no other worker
    takes a chunk within 5 s, processes of this host do. With --serve workers on other hosts take
    chunks too: they get the games as shards and send blocks. A chunk whose worker is killed is
    tried again; an interrupted export goes on where it was.

    By hand: --split writes chunks, --worker CHUNK... their blocks, --merge CHUNK... the datasets.
    --serve alone serves files read-only: /status, /inventory.json, /files/<sha256> with ranges and
    /files/<sha256>.meta4.

    Exit code 1 when there is no sample, 3 when the coordinator is out of reach, 4 when a store is
    no source or a token is refused, 75 when a chunk took too long three times.

    Examples: ringrift data export-distributed --coordinator --chunks 10 |
    ringrift data export-distributed split --output-dir chunks --dry-run --json

    was: distributed_export.py
    """
    invocation = current()
    mode, chunks = _mode_of(options)
    if chunks and mode not in {WORKER, MERGE}:
        raise UsageError(f"{mode} takes no chunks: {chunks[0]}", where="CHUNK")
    if mode == COORDINATE:
        _coordinate(invocation, options, shared)
    elif mode == WORKER:
        _work(invocation, options, shared, chunks)
    elif mode == MERGE:
        _merge(invocation, options, shared, chunks)
    elif mode == SPLIT:
        _split(invocation, options, shared)
    else:
        _serve(invocation, options, shared)


def _mode_of(options: DistributedOptions) -> tuple[str, list[str]]:
    """Return what to do and the words that name chunks; raises `UsageError` unless it is one."""
    words = list(options.words or [])
    asked = {
        COORDINATE: options.coordinator,
        WORKER: options.worker,
        MERGE: options.merge is not None and bool(options.merge),
        SPLIT: options.split,
    }
    modes = [name for name, wanted in asked.items() if wanted]
    if words and words[0] in asked:
        modes.append(words.pop(0))
    modes = list(dict.fromkeys(modes))
    if not modes and options.serve:
        modes = [SERVE]
    if len(modes) != 1:
        found = " and ".join(modes) or "none"
        raise UsageError(
            f"what to do: found {found}; expected one of coordinate, worker, merge, split, serve",
            hint="--coordinator --chunks 10",
        )
    return modes[0], [*(options.merge or []), *words]


# --- coordinator


def _coordinate(
    invocation: Invocation, options: DistributedOptions, shared: dict[str, Any]
) -> None:
    from ringrift.data.distributed.coordinator import Coordinator, Sharing
    from ringrift.data.distributed.publishing import existing, publish

    with ExitStack() as stack:
        plans = plans_of(invocation, shared, stack, heavy=not shared["dry_run"]).plans
        if shared["dry_run"]:
            _show(invocation, COORDINATE, [(plan, None) for plan in plans], dry_run=True)
            return
        exporter = _exporter_of(invocation, shared)
        found = {plan.request: existing(plan, exporter) for plan in plans}
        missing = [plan for plan in plans if found[plan.request] is None]
        sharing = Sharing(
            chunks=options.chunks, workers=shared["workers"], timeout_s=options.timeout
        )
        folder = invocation.paths().spool / "export"
        coordinator = stack.enter_context(Coordinator(missing, folder, sharing))
        if missing:
            _hand_out(invocation, options, coordinator, folder, stack)
        for merged in coordinator.merged():
            found[merged.plan.request] = publish(merged, exporter)
        coordinator.remove()
    _show(invocation, COORDINATE, [(plan, found[plan.request]) for plan in plans])


def _hand_out(
    invocation: Invocation,
    options: DistributedOptions,
    coordinator: Coordinator,
    folder: Path,
    stack: ExitStack,
) -> None:
    from ringrift.data.distributed.chunk_service import ChunkService
    from ringrift.data.distributed.inventory import Inventory
    from ringrift.data.distributed.serving import ExportServer

    each_look = _nothing
    state = {"done": 0, "chunks": 0}
    if options.serve:
        shards = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix=".shards-", dir=folder))
        )
        service = ChunkService(coordinator.queues, shards)
        stack.callback(service.close)
        server = ExportServer(
            Inventory(shards),
            port=options.port,
            host=options.host,
            authorization=_authorization(invocation, options),
            mirrors=options.mirrors or (),
            status=lambda: {**state, "workers": service.workers()},
            service=service,
        )
        stack.enter_context(server)
        each_look = service.drop_silent
        invocation.out.note(f"workers may come to {server.url}")
    with invocation.out.progress() as progress:
        task = progress.task("exporting", unit="chunks")

        def on_chunks(done: int, total: int) -> None:
            state.update(done=done, chunks=total)
            task.update(done, total=total)

        coordinator.run(on_chunks=on_chunks, each_look=each_look)
        task.finish()


def _nothing() -> None:
    pass


# --- worker


def _work(
    invocation: Invocation,
    options: DistributedOptions,
    shared: dict[str, Any],
    chunks: Sequence[str],
) -> None:
    if shared["dry_run"]:
        _show_work(invocation, None)
        return
    ready_for(invocation, disk_gb=0.5, wait=not shared["no_wait"])
    with invocation.out.progress() as progress:
        task = progress.task("exporting", unit="games")
        if chunks:
            done = _work_on_files(options, _paths(chunks), task.advance)
        else:
            done = _work_on_queues(invocation, options, task.advance)
        task.finish()
    _show_work(invocation, done)


def _work_on_files(options: DistributedOptions, paths: Sequence[Path], on_game: Any) -> Worked:
    """Write the blocks of chunks that were split by hand beside them, or into --output-dir."""
    from ringrift.data.dataset.pack import SUFFIX as PACK
    from ringrift.data.distributed.chunks import read_chunk, write_chunk
    from ringrift.data.distributed.worker import Worked, make_blocks
    from ringrift.data.verify_sources import require_sources

    done = Worked()
    for path in paths:
        chunk = read_chunk(path)
        require_sources(chunk.plan.stores)
        folder = options.output_dir or path.parent
        if options.output_dir is not None:
            folder.mkdir(parents=True, exist_ok=True)
            write_chunk(folder, chunk)
        blocks = folder / f"{chunk.name}{PACK}"
        make_blocks(chunk, chunk.plan, blocks, timeout_s=options.timeout, on_game=on_game)
        done.chunks += 1
        done.games += len(chunk.plan.games)
    return done


def _work_on_queues(invocation: Invocation, options: DistributedOptions, on_game: Any) -> Worked:
    from ringrift.data.distributed.aria2 import aria2_program
    from ringrift.data.distributed.folder_queue import queues_below
    from ringrift.data.distributed.queue import Queues
    from ringrift.data.distributed.remote_queue import RemoteQueue
    from ringrift.data.distributed.worker import work

    if options.coordinator_url is None:
        queues = queues_below(invocation.paths().spool / "export")
        if not queues:
            raise NotRunningError(
                "no coordinator works in this data root",
                where=str(invocation.paths().spool / "export"),
                hint="--coordinator-url http://HOST:8780",
            )
        return work(Queues(queues), timeout_s=options.timeout, on_games=on_game)
    with tempfile.TemporaryDirectory(prefix="ringrift-export-") as folder:
        queue = RemoteQueue(
            options.coordinator_url,
            Path(folder),
            worker=f"{socket.gethostname()}-{os.getpid()}",
            authorization=_authorization(invocation, options),
            mirrors=options.mirrors or (),
            aria2=aria2_program(),
        )
        return work(queue, timeout_s=options.timeout, on_games=on_game)


def _show_work(invocation: Invocation, done: Worked | None) -> None:
    chunks = games = given_up = 0
    if done is not None:
        chunks, games, given_up = done.chunks, done.games, done.given_up
    text = f"{chunks:,} chunks, {games:,} games, {given_up:,} chunks given up"
    _result(
        invocation,
        WORKER,
        human=text if done is not None else "would work on chunks",
        worked={"chunks": chunks, "games": games, "given_up": given_up},
        dry_run=done is None,
    )


# --- by hand


def _split(invocation: Invocation, options: DistributedOptions, shared: dict[str, Any]) -> None:
    from ringrift.data.distributed.chunks import SUFFIX, cut, write_chunk

    if shared["inputs"] or shared["input_dir"]:
        raise UsageError("the chunks would outlive the games", where="--input", hint="--db FILE")
    folder = options.output_dir
    if folder is None:
        raise UsageError("no folder for the chunks", where="--output-dir", hint="--output-dir DIR")
    with ExitStack() as stack:
        plans = plans_of(invocation, shared, stack, heavy=False).plans
    chunks = [chunk for plan in plans for chunk in cut(plan, options.chunks)]
    dry_run = shared["dry_run"]
    if not dry_run:
        folder.mkdir(parents=True, exist_ok=True)
        for chunk in chunks:
            write_chunk(folder, chunk)
    rows = [
        {
            "path": str(folder / f"{chunk.name}{SUFFIX}"),
            "config": chunk.plan.config,
            "games": len(chunk.plan.games),
        }
        for chunk in chunks
    ]
    columns = [Column("chunk"), Column("configuration"), Column("games", number=True)]
    table = invocation.out.table(columns, [list(row.values()) for row in rows])
    _result(invocation, SPLIT, human=table, chunks=rows, dry_run=dry_run)


def _merge(
    invocation: Invocation,
    options: DistributedOptions,
    shared: dict[str, Any],
    chunks: Sequence[str],
) -> None:
    from ringrift.data.distributed.publishing import merge, publish

    if not chunks:
        raise UsageError("no chunk is named", where="--merge", hint="--merge FOLDER")
    urls = [chunk for chunk in chunks if chunk.startswith(_URLS)]
    paths = _paths([chunk for chunk in chunks if not chunk.startswith(_URLS)])
    if not shared["dry_run"]:
        ready_for(invocation, disk_gb=0.5, wait=not shared["no_wait"])
    with ExitStack() as stack:
        if urls:
            folder = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="ringrift-merge-"))
            )
            _fetch(invocation, options, urls, folder)
            paths.append(folder)
        found: list[Merged] = merge(paths)
        if shared["dry_run"]:
            _show(invocation, MERGE, [(one.plan, None) for one in found], dry_run=True)
            return
        exporter = _exporter_of(invocation, shared)
        done = [(one.plan, publish(one, exporter)) for one in found]
    _show(invocation, MERGE, done)


def _fetch(
    invocation: Invocation, options: DistributedOptions, urls: Sequence[str], folder: Path
) -> None:
    from ringrift.data.distributed.aria2 import aria2_program
    from ringrift.data.distributed.fetching import fetch_chunks

    with invocation.out.progress() as progress:
        task = progress.task("fetching", unit="bytes")
        fetched = fetch_chunks(
            [*urls, *(options.mirrors or [])],
            folder,
            _authorization(invocation, options),
            aria2=aria2_program(),
            on_bytes=task.advance,
        )
        task.finish()
    for bad in dict.fromkeys(str(mirror) for file in fetched for mirror in file.bad):
        invocation.out.note(f"a mirror failed: {bad}")


# --- server


def _serve(invocation: Invocation, options: DistributedOptions, shared: dict[str, Any]) -> None:
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.data.distributed.inventory import Inventory
    from ringrift.data.distributed.serving import ExportServer

    folder: Path = shared["output"] or invocation.paths(create=False).npz
    if not folder.is_dir():
        raise UsageError(f"no folder {folder}", where="--output", hint="a folder of datasets")
    inventory = Inventory(folder)
    if shared["dry_run"]:
        _result(invocation, SERVE, human=f"would serve {folder}", dry_run=True)
        return
    with (
        cooperative_stop() as stop,
        ExportServer(
            inventory,
            port=options.port,
            host=options.host,
            authorization=_authorization(invocation, options),
            mirrors=options.mirrors or (),
            status=lambda: {"folder": folder.name},
        ) as server,
    ):
        _result(invocation, SERVE, human=f"serving {folder} at {server.url}", url=server.url)
        while not stop.wait(1.0):
            pass


# --- shared


def _exporter_of(invocation: Invocation, shared: dict[str, Any]) -> Exporter:
    """Return what writes the datasets where the options say."""
    from ringrift.data.export.run import Exporter

    output = shared["output"] or invocation.paths().npz
    return Exporter(output=output, force=shared["force_export"])


def _authorization(invocation: Invocation, options: DistributedOptions) -> Authorization:
    """Read the token that --token or the settings refer to."""
    from ringrift.data.distributed.authorization import Authorization

    given = None if options.token is None else {"p2p.auth_token": options.token}
    secret = invocation.settings(options=given).values.p2p.auth_token
    root = invocation.known_root() or Path.cwd()
    token = secret.read(root=root)
    if options.token is not None and token is None:
        raise UsageError("no token is there", where="--token", hint="env:NAME or file:PATH")
    return Authorization(token=token)


def _paths(chunks: Sequence[str]) -> list[Path]:
    paths = expand_paths(chunks, what="CHUNK")
    for path in paths:
        if not path.exists():
            raise UsageError(f"no file {path}", where="CHUNK", hint="an existing file or folder")
    return paths


def _show(
    invocation: Invocation,
    mode: str,
    found: Sequence[tuple[Plan, Exported | None]],
    *,
    dry_run: bool = False,
) -> None:
    rows = [
        {
            "config": plan.config,
            "id": None if exported is None else exported.manifest.id,
            "path": None if exported is None else str(exported.path),
            "existing": exported is not None and exported.existing,
            "games": len(plan.games) if exported is None else exported.manifest.games,
            "samples": None if exported is None else exported.manifest.samples,
        }
        for plan, exported in found
    ]
    columns = [
        Column("configuration"),
        Column("games", number=True),
        Column("samples", number=True),
        Column("dataset"),
    ]
    cells = [
        [row["config"], row["games"], row["samples"], row["path"] or "(dry run)"] for row in rows
    ]
    table = invocation.out.table(columns, cells)
    _result(invocation, mode, human=table, datasets=rows, dry_run=dry_run)


def _result(
    invocation: Invocation, mode: str, *, human: Any, dry_run: bool = False, **of: Any
) -> None:
    """Print the result; what another mode would tell is null."""
    fields = {"mode": mode, "datasets": None, "chunks": None, "worked": None, "url": None}
    invocation.out.result({**fields, **of, "dry_run": dry_run}, human=human)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export-distributed", cls=DistributedCommand)(command_of(export_distributed))
