"""Statistics of games: one summary per game, then everything over arrays of them (data.md 10).

| module | holds |
|---|---|
| `layout`, `kernel` | the fixed row of a game, and the compiled pass that fills it |
| `summary` | the summary of a game: its row and a word for each ply |
| `cache` | the summaries of games seen before, by game id |
| `finding`, `filters` | which files and which games are meant |
| `stored`, `files` | the games of a store, and of other files |
| `workers` | processes that summarise |
| `pages`, `gathering` | summaries in pages, each game once, with what is known beside its moves |
| `tally`, `counting`, `counting_plies` | sums over pages |
| `measures` | quantiles, shares, intervals |
| `sections_results`, `sections_play`, `sections_agents`, `findings` | the sections of the report |
| `report` | the report as a tree |
| `markdown`, `plots` | the report for people; `plot_*` draw |
"""
