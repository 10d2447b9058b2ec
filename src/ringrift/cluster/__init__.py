"""Work across processes and machines: the hub, jobs, results, records in flight (`cluster.md`).

| module | holds |
|---|---|
| `hub` | the NATS server of one machine |
| `keys` | the key of a node |
"""
