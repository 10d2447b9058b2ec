"""Openings that all sides of a match play: drawn from a seed, or taken from books (`evaluation.md` 2).

| module | holds |
|---|---|
| `drawing` | random openings that follow from a seed alone |
| `books` | books, their two halves, and how a plan orders them |
| `symmetry` | names of positions that their mirror images share |
| `playouts` | the share of wins that each seat has after an opening |
| `building` | new books, by several processes, resumable |
| `checking` | replays of whole books |

The shipped books lie beside these modules, one `<configuration>.jsonl` each.
"""

from ringrift.evaluation.openings.books import PARTS, Book, Opening, Part, load_book
from ringrift.evaluation.openings.drawing import book_hash, openings

__all__ = ["PARTS", "Book", "Opening", "Part", "book_hash", "load_book", "openings"]
