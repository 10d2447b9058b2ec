"""Bring the models of several nodes together, by their content (`models.md` 8).

| module | holds |
|---|---|
| `listing` | which files of a models folder are shared, and what their names say |
| `nodes` | the seam to other nodes: a folder, or a server of files over HTTP |
| `serving`, `receiving` | the files of this node over HTTP; those that others send |
| `admission` | what arrived is checked and moved to its place |
| `chains` | decisions of other nodes, by their terms |
| `exchange` | discover, collect, distribute |
"""
