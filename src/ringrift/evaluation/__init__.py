"""Measure strength: matches on paired openings, intervals, sequential tests.

| module | holds |
|---|---|
| `elo` | scores and Elo differences |
| `intervals` | intervals of match scores and the betting confidence sequence |
| `sprt` | the sequential test over blocks |
| `openings` | random openings that both sides play |
| `matches` | plans, the runner, results from stored games |
"""
