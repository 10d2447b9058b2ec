"""Exports by themselves: configurations with too few games, as soon as they have new ones (`data.md` 8).

| module | holds |
|---|---|
| `counting` | games and new games of each configuration, from the store and the manifests |
| `deciding` | which are exported, in which order, and why the others are not |
| `running` | a round of exports, two at a time, each in a process of its own |
"""
