"""What every room stands on; imports nothing of ours, no torch, no numba.

| module | holds |
|---|---|
| `errors` | the domain's errors, each with its exit code |
| `settings`, `settings_loader` | the `Settings` model by sections; files, variables, options, rules, origins |
| `settings_migration`, `settings_text`, `settings_files` | retired keys out, the commented file, files checked |
| `yaml_text`, `backup` | edits that leave other bytes alone; the old file kept |
| `hyperparameters`, `hyperparameter_*` | training hyper-parameters: file, checks, merge |
| `environment`, `versions` | one boolean variable; what is installed |
| `paths` | the data root and its folders |
| `files` | whole-file writes, locks, SQLite connections |
| `figures` | figures that need no display |
| `ids` | content ids, canonical bytes, prefixes |
| `log`, `hidden` | structured events to standard error and to `logs/`; secrets kept out of them |
| `interrupt`, `processes` | SIGINT and SIGTERM as a flag; what a spawned worker does first |
| `limits`, `readings`, `cgroups`, `cpu_account`, `process_reading` | what is used of the machine, judged |
| `resource_guard`, `resource_checks`, `reservations`, `watch` | ask and reserve; hold or end running work |
| `host_table` | tasks of this host and their needs |
| `safeguards` | the public names of the next two rows |
| `emergency`, `breakers`, `retries`, `backpressure` | halts, circuit breakers, retries, slowing down |
| `spawning`, `spawn_limits`, `ending` | bounded programs, their bounds, their end |
| `roles` | one holder per role |
| `targets`, `optimizer`, `optimizer_*`, `utilization` | how many workers: aims, PID control, its history |
| `metrics`, `metrics_table`, `metrics_server` | Prometheus metrics and their loopback server |
| `alerts`, `alert_*` | what fires, told once per change, delivered until accepted |

Import from the module: this file stays empty so that importing one part costs only that part.
"""
