"""Make `golden/gumbel_trees.json.gz`: 1,000 trees searched by mctx. Needs mctx, which brings jax.

    pip install mctx
    python tests/agents/make_golden_trees.py

mctx reads a child's value with the parent's sign and from -1 to 1; ours lie in [0, 1], so half its
`value_scale` is our `c_scale`. It computes in double precision here, as we do: single precision
decides a few of the closest comparisons the other way.
"""

from __future__ import annotations

import functools
import gzip
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import mctx
import numpy as np
from table_trees import TWO_PLAYERS, Group

OUT = Path(__file__).parent / "golden" / "gumbel_trees.json.gz"


def search(group: Group) -> Any:
    """Search the trees of a group with mctx."""
    logits, successors, noise = group.logits, group.successors, group.noise
    values = group.values[:, 0]  # the mover's, as mctx reads them

    def step(params: Any, key: Any, action: Any, row: Any) -> Any:
        del params, key
        behind = jax.numpy.asarray(successors)[row, action]
        output = mctx.RecurrentFnOutput(
            reward=jax.numpy.zeros(len(action)),
            discount=-jax.numpy.ones(len(action)),
            prior_logits=jax.numpy.asarray(logits)[behind],
            value=jax.numpy.asarray(values)[behind],
        )
        return output, behind

    rows = jax.numpy.arange(group.trees)
    root = mctx.RootFnOutput(
        prior_logits=jax.numpy.asarray(logits)[rows],
        value=jax.numpy.asarray(values)[rows],
        embedding=rows,
    )
    # Our noise in place of mctx's own draw, which is all it uses the generator for.
    with mock.patch.object(jax.random, "gumbel", return_value=jax.numpy.asarray(noise)):
        return mctx.gumbel_muzero_policy(
            params=(),
            rng_key=jax.random.PRNGKey(0),
            root=root,
            recurrent_fn=step,
            num_simulations=group.sims,
            max_num_considered_actions=group.m,
            gumbel_scale=1.0,
            qtransform=functools.partial(
                mctx.qtransform_completed_by_mix_value,
                value_scale=group.c_scale / 2,
                maxvisit_init=group.c_visit,
                rescale_values=False,
            ),
        )


def main() -> None:
    """Search all groups and write the file."""
    jax.config.update("jax_enable_x64", val=True)
    groups = []
    for group in TWO_PLAYERS:
        found = search(group)
        tree = found.search_tree
        groups.append(
            {
                "seed": group.seed,
                # Node i was added by simulation i: its parent and the action are the whole sequence.
                "parents": np.asarray(tree.parents)[:, 1:].tolist(),
                "actions": np.asarray(tree.action_from_parent)[:, 1:].tolist(),
                "visits": np.asarray(tree.summary().visit_counts).tolist(),
                "chosen": np.asarray(found.action).tolist(),
                "values": np.round(np.asarray(tree.node_values)[:, 0], 9).tolist(),
            }
        )
    head = {"mctx": version("mctx"), "jax": version("jax"), "groups": groups}
    text = json.dumps(head, separators=(",", ":"))
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
