"""Close the loop: play with the champion, learn, measure, decide, again (`loop.md`).

| module | holds |
|---|---|
| `plan` | the numbers of one run, taken from the settings, and the run's key |
| `runs` | the run folder: settings, events, tables; which run to resume |
| `facts` | what is done of a generation, and what comes next |
| `promotion` | the rule by which a candidate becomes champion |
| `measure` | the matches of a generation and of the final exam |
| `learn` | the training in a process of its own |
| `control`, `interfaces` | one run from its first fact to its last; what it needs of the others |
| `guard`, `telemetry` | what holds the loop back; what the outside sees of it |
| `session` | the loop with its real parts |
| `report` | generation tables and the summary |

No module here imports torch: self-play, matches and training run in processes of their own.
"""
