"""Models that a test puts into a root's registry."""

import numpy as np

from ringrift.core.paths import Paths
from ringrift.nets.nnue.file import init_nnue, save_nnue, weights_of
from ringrift.nets.nnue.network import LARGEST_WEIGHT
from ringrift.rules import BoardSpec, parse_config

from .live import CONFIG

SPEC = BoardSpec.create(*parse_config(CONFIG))


def by_hand(root, seed=99):
    """A model of random weights that no loop has made; its id."""
    objects = Paths(root).model_objects
    return init_nnue(SPEC, folder=objects, seed=seed, hidden=32, policy=True).stem


def noised(root, model_id, *, games_upto, seed=7, scale=3.0):
    """A successor of a model whose weights are mostly noise, as a training would leave it; its id."""
    paths = Paths(root)
    path = paths.model_objects / model_id[:2] / f"{model_id}.safetensors"
    shape, weights = weights_of(path, SPEC)
    rng = np.random.default_rng(seed)
    worse = {}
    for name, w in weights.items():
        noise = rng.normal(0.0, scale * max(float(w.std()), 0.01), w.shape)
        worse[name] = np.clip(w + noise, -LARGEST_WEIGHT, LARGEST_WEIGHT).astype(w.dtype)
    training = {"games": 1, "games_upto": games_upto}
    parents = ({"id": model_id, "role": "warm_start"},)
    objects = paths.model_objects
    return save_nnue(worse, shape, SPEC, objects, training=training, parents=parents).stem
