"""Datasets: from games of a store's views to shards of samples (data.md 4).

    plan = plan_export([store], "square8_2p", ExportOptions())
    manifest = write_dataset(plan, dict(blocks(plan, plan.ids)), folder)
    dataset = Dataset.open(folder)

A block is what one game gives: immutable, the same on every host. Whatever makes the blocks (one
process, several, chunks on other hosts, a cache) the dataset is the same to the byte.
"""

from __future__ import annotations

from ringrift.data.dataset.blocks import blocks, game_block
from ringrift.data.dataset.check import check_dataset
from ringrift.data.dataset.manifest import Manifest
from ringrift.data.dataset.options import ExportOptions
from ringrift.data.dataset.places import find_datasets
from ringrift.data.dataset.plan import Plan, PlannedGame, configurations, plan_export
from ringrift.data.dataset.reader import Dataset
from ringrift.data.dataset.write import dataset_id, write_dataset

__all__ = [
    "Dataset",
    "ExportOptions",
    "Manifest",
    "Plan",
    "PlannedGame",
    "blocks",
    "check_dataset",
    "configurations",
    "dataset_id",
    "find_datasets",
    "game_block",
    "plan_export",
    "write_dataset",
]
