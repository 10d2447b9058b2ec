"""Measure strength: matches on paired openings, intervals, sequential tests.

| module | holds |
|---|---|
| `elo` | scores and Elo differences; Elo game by game for display |
| `intervals` | intervals of match scores and the betting confidence sequence |
| `sprt` | the sequential test over blocks |
| `group_sequential` | several looks at a Wilson interval |
| `chances`, `power` | how tests end at a true strength, and after how many games |
| `block_statistics`, `worker_check` | what counts of blocks say; whether machines agree |
| `openings` | books of openings, and openings drawn from a seed |
| `lineups` | who sits where in the games of a block |
| `plans` | plans of matches, named by their content |
| `participants` | the agents of a plan |
| `results` | what the stored games of a plan say |
| `matches` | playing what is missing |
| `players` | the worker processes that play |
| `match_folder` | the folder of a match under `runs/eval` |
| `gate`, `promotion` | is a candidate good enough; what a promotion is decided from |
| `ratings` | ratings fitted from all match games, leaderboards |
| `elo_service`, `training_feedback` | ratings for programs; what they say to training |
| `reconciliation`, `match_copies`, `store_writer` | the match games of several nodes together |
"""
