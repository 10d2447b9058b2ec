"""What every room stands on; imports nothing of ours, no torch, no numba.

| module | holds |
|---|---|
| `errors` | the domain's errors, each with its exit code |
| `settings`, `settings_loader` | the `Settings` model; its files, variables, options and their origins |
| `paths` | the data root and its folders |
| `files` | whole-file writes, locks, SQLite connections |
| `ids` | content ids, canonical bytes, prefixes |
| `log` | structured events to standard error and to `logs/` |
| `interrupt` | SIGINT and SIGTERM as a flag that loops look at |

Import from the module: this file stays empty so that importing one part costs only that part.
"""
