"""Playing games: plans, lock-step play, worker processes.

Other rooms use `plans` (PlayJob, GamePlan, game_seed), `workers.WorkerPool` and `generator`.
Nothing is re-exported here, so that a control process loads no compiler.
"""
