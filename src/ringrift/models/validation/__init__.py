"""Check model files and what refers to them (`models.md` 6).

| module | holds |
|---|---|
| `findings` | the codes, and what is said of one file or reference |
| `pickles` | what a pickle would load, read without executing it |
| `files` | the checks of one file |
| `references` | aliases, decisions, lineage, participants |
| `scan` | all of a models folder |
"""

from ringrift.models.validation.files import check_file
from ringrift.models.validation.findings import CODES, Finding, Report
from ringrift.models.validation.scan import scan

__all__ = ["CODES", "Finding", "Report", "check_file", "scan"]
