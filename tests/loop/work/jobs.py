"""Contexts of jobs over a root, and what a collector would do with their games."""

import json

from ringrift.cluster.batches import read_batch
from ringrift.cluster.job_child import JobContext
from ringrift.cluster.jobs import Job
from ringrift.core.paths import Paths
from ringrift.records.analysis_bytes import analysis_from_bytes
from ringrift.records.game_bytes import from_bytes
from ringrift.records.store import GameStore

CONFIG = "square8_2p"


def context(root, kind, /, **fields):
    """A context of a job of `kind`; fields of the context are taken, the others are its spec."""
    own = {name: fields.pop(name) for name in ("stop", "hold", "report") if name in fields}
    spec = json.loads(json.dumps({"config": CONFIG, **fields}))
    job = Job(kind=kind, config=CONFIG, spec=spec, timeout_s=60.0, rules_hash="test")
    return JobContext(job=job, root=root, node="here", spool_bytes=1 << 30, **own)


def after(calls):
    """Say false so many times, then true."""
    left = iter(range(calls))
    return lambda: next(left, None) is None


def spooled(root):
    """Return what waits in the spool: plans, and games with their analyses, in order."""
    spool = context(root, "selfplay").spool()
    batches = [read_batch(batch.body) for batch in spool.unsent()]
    plans = [plan for batch in batches for plan in batch.plans]
    games = [
        (from_bytes(game), [analysis_from_bytes(one) for one in analyses])
        for batch in batches
        for game, analyses in batch.games
    ]
    return plans, games


def deliver(root):
    """Bring what waits in the spool into the store, through its gate."""
    plans, games = spooled(root)
    spool = context(root, "selfplay").spool()
    with GameStore.open(Paths(root).game_store, writer=True) as store:
        for plan in plans:
            store.plans.add(plan, config=CONFIG, purpose=json.loads(plan)["purpose"])
        items = [(game, one) for game, analyses in games for one in analyses or [None]]
        report = store.ingest(items, source="test")
    spool.remove([batch.sha256 for batch in spool.unsent()])
    return report


def stored_ids(root):
    with GameStore.open(Paths(root).game_store) as store:
        return store.game_ids()
