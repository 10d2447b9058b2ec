"""Which models there are and which of them is champion (`models.md`). Files and loading live in `nets`.

| module | holds |
|---|---|
| `registry`, `cards`, `index`, `listing` | model files, what is known of them, the index over both |
| `references`, `names`, `aliases`, `pins` | what a name means, and who is never pruned |
| `decisions`, `promoted` | an append-only chain per configuration; the champions for readers |
| `candidates`, `judging`, `evidence`, `promotion` | who waits, the verdict, its record, the champion |
| `rollback`, `ratings`, `steps`, `lineage` | back to a former champion; Elo; where a model comes from |
| `validation`, `quarantine` | checks of files and references; bad files set aside |
| `pruning`, `leases`, `archive`, `runs` | what may go, what is in use, copies of what went |
| `synchronisation`, `staging`, `difficulty` | other nodes; hosts that serve games; levels of play |
"""
