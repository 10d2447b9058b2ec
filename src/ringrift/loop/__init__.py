"""Close the loop: play with the champion, learn, measure, decide, again (`loop.md`).

| module | holds |
|---|---|
| `session`, `control`, `run_options` | the parts of one run; pass after pass; what it was asked |
| `facts`, `actions`, `plan`, `job_specs` | what is known, asked to be written, come to, and told to jobs |
| `reconciler`, `learner`, `match_jobs`, `jobs_of`, `seen` | from facts to states and jobs, as pure functions |
| `gates`, `scheduler`, `budget` | what a training needs; whose turn it is; simulations |
| `feedback`, `plateau`, `regression`, `presets`, `curriculum` | what strength tells to data, search and training |
| `studies` | when hyper-parameters are searched |
| `companions` | when nets of further kinds learn beside the lineage |
| `keeper`, `keeper_process`, `collecting` | the process that has the store; its handle, its collector |
| `gathering`, `gathering_games`, `gathering_models`, `gathering_tuning`, `decision_facts`, `rating_facts` | facts |
| `measuring`, `match_facts`, `tallies`, `stored_plans` | matches of a candidate and their results |
| `side_matches`, `milestones`, `milestone_names` | matches beside |
| `promoting` | candidates measured by hand |
| `deciding`, `holdouts` | decisions, written once; what two models lose on the same games |
| `work` | what the child processes do |
| `hub_jobs`, `job_files`, `planned_games` | the queue; jobs from files; games that others plan |
| `following`, `distributed_matches`, `distributed_selfplay` | jobs of others through it, to their end |
| `guard`, `resuming`, `warm`, `child` | what holds it; who let it go on; compiling; one child process |
| `events`, `history`, `logged`, `cycles`, `event_data`, `lines` | what happened, for people |
| `status`, `telemetry`, `health`, `watching`, `observer`, `showing` | what happens now; alerts |
| `report`, `reporting`, `pictures` | the curves of a root |

Control imports no compiler: what reads or plays games runs in processes of its own.
"""
