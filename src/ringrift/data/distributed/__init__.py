"""Exports shared out to several processes and hosts, and the files they exchange (`data.md` 6).

| module | holds |
|---|---|
| `metalink` | hashes of a file and of its pieces, and where it is (RFC 5854) |
| `inventory` | the files of a folder by their SHA-256 |
| `serving`, `authorization` | those files over HTTP, read-only, with ranges; who may ask |
| `download`, `ranged`, `aria2` | a file from its mirrors, each piece checked |
| `chunks`, `publishing` | a plan cut into chunks; what they gave becomes the dataset |
| `folder_queue`, `queue` | who works on which chunk; the seam to other queues |
| `chunk_service`, `remote_queue` | the queue over HTTP: the coordinator's side, the worker's |
| `worker`, `coordinator` | take chunks; hand them out and merge what came back |
"""
