"""Take chunks of a folder and keep them until standard input ends: the first, or `all` there are."""

import sys
from pathlib import Path

from ringrift.data.distributed.folder_queue import FolderQueue

queue = FolderQueue(Path(sys.argv[1]))
kept = []
while (lease := queue.take()) is not None:
    kept.append(lease)
    print(lease.chunk.name, flush=True)
    if sys.argv[2:] != ["all"]:
        break
print("end", flush=True)
sys.stdin.read()
