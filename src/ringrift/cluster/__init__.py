"""Work across processes and machines: the hub, jobs, results, records in flight (`cluster.md`).

| module | holds |
|---|---|
| `hub`, `hub_config`, `streams` | the NATS server of one machine, its streams and buckets |
| `local_hub`, `hub_report`, `backup`, `job_table` | a hub that runs, as commands see it |
| `bus`, `keys`, `reading` | a connection to it, the key of a node, streams read without a consumer |
| `election`, `lease` | who leads |
| `jobs`, `attempts`, `results_log` | what is asked, what failed and is given up, what came of it |
| `agent`, `waiting`, `claims`, `slots`, `answers` | a node's work: jobs taken, run, answered for |
| `job_child` | the process that runs them, and what a work function gets |
| `spool`, `batches`, `sender` | finished games and results on their way to the hub |
| `collector`, `positions` | games on their way to a store, and how far they are |
"""
