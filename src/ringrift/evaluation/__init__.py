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
| `results`, `tally` | one game and the result of a match; counting games in plan order |
| `matches` | playing what is missing |
| `players` | the worker processes that play |
| `match_folder` | the folder of a match under `runs/eval` |
| `gate`, `promotion`, `many_tests` | is a candidate good enough; what decides a promotion; how many were tried |
| `ratings` | ratings fitted from all match games, leaderboards |
| `elo_service`, `training_feedback` | ratings for programs; what they say to training |
| `reconciliation`, `match_copies`, `store_writer` | the match games of several nodes together |
| `contenders` | models and fixed agents that are measured |
| `gauntlets` | matches against fixed opponents with floors |
| `rate_test` | a match that ends once its outcome is fixed |
| `two_stage` | many models: a few games to sift, more to rank |
| `pairing`, `tournaments` | who meets next; tournaments and their tables |
| `auto`, `diverse`, `calibration` | which tournaments are due; a model's first games |
| `regressions`, `pace` | champions that fell; how fast matches are played here |
| `shadow` | the service that measures the newest models |
| `trends`, `least_squares`, `plots` | ratings from hour to hour; slopes with intervals; pictures |
| `aggregation`, `foreign_results` | results of several places; numbers without games |
"""
