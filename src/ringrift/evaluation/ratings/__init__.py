"""Ratings: one Plackett-Luce fit for each configuration and set of match games (`evaluation.md` 5).

| module | holds |
|---|---|
| `games` | the match games of a store as arrays |
| `likelihood` | log-likelihood of rankings, its gradient and Hessian |
| `strengths` | Newton's method, covariance, standard errors by block |
| `pairings` | who met whom: observed against fitted, non-transitivity |
| `fit` | the fit of a configuration: anchor, prior, connections, differences |
| `table` | the rows of a fit as they stand in its file |
| `cache` | that file |
| `lineage` | parents of models, for the prior |
| `service` | which fit a data root has now, or had at a time |
| `leaderboard` | which rows are shown, in which order |
| `exporting` | a leaderboard as CSV, JSON or SQLite |
| `pictures` | a leaderboard as a forest, pairings as a matrix |
"""
