"""Run many command lines, each in a process of its own forked from one that has imported all.

Reads `[{args, folder, env, stdin, stdout, limit_s}]` from standard input and answers
`[{code, out, err, seconds}]`. Descriptors are real: `stdin` is "null" or "closed", `stdout` "file"
or "broken" (a pipe that nobody reads). A process over its limit is killed and has code None. With the
word `heavy` what commands import first, the settings and compiled rules are loaded too, which each
process would else do for itself.
"""

import importlib
import json
import os
import signal
import sys
import tempfile
import time

from ringrift.cli import main
from ringrift.cli.reference.pages import all_pages

HEAVY = (
    "ringrift.agents.factory",
    "ringrift.core.alerts",
    "ringrift.core.metrics",
    "ringrift.core.readings",
    "ringrift.core.settings_loader.variables",
    "ringrift.data.dataset",
    "ringrift.data.statistics",
    "ringrift.records.parity",
    "ringrift.rules.cpu",
    "ringrift.selfplay.run_plan",
    "rich.progress",
    "rich.table",
)


def serve():
    all_pages()
    if sys.argv[1:] == ["heavy"]:
        load()
    cases = json.load(sys.stdin)
    json.dump([answer(case) for case in cases], sys.stdout)


def load():
    for name in HEAVY:
        importlib.import_module(name)
    from ringrift.core.settings import Settings
    from ringrift.rules import Position

    Settings()
    position = Position.start("square8")
    position.play(int(position.legal_packed()[0]))
    str(position)


def answer(case):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begun = time.monotonic()
        child = os.fork()
        if child == 0:
            become(case, out.fileno(), err.fileno())
        code = wait(child, begun + case.get("limit_s", 120))
        seconds = time.monotonic() - begun
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return {"code": code, "out": texts[0], "err": texts[1], "seconds": seconds}


def wait(child, deadline_s):
    while time.monotonic() < deadline_s:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def become(case, out, err):
    """Turn the forked process into the program; never returns."""
    code = 99
    try:
        os.setsid()
        os.chdir(case["folder"])
        for name in [name for name in os.environ if name.startswith("RINGRIFT_")]:
            del os.environ[name]
        os.environ.update(case.get("env", {}))
        os.close(0)
        if case.get("stdin") != "closed":
            os.open(os.devnull, os.O_RDONLY)
        if case.get("stdout") == "broken":
            reader, out = os.pipe()
            os.close(reader)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdin = None if case.get("stdin") == "closed" else open(0)  # noqa: SIM115
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        sys.argv = ["ringrift", *case["args"]]
        main.main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 98
        sys.stderr.flush()
    except BaseException as error:  # noqa: BLE001 - reported to the test
        os.write(2, repr(error).encode())
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve()
