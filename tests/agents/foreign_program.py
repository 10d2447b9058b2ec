"""A program that speaks the line protocol, and misbehaves as its words say.

    foreign_program.py [quiet|noid|badstart] [illegal N] [die N] [error N] [mute N] [sleep N MS] [same]

N is the number of the `go` at which it happens (0: the first).
"""

import sys
import time

from ringrift.agents.factory import make_agent
from ringrift.agents.hosting.line_protocol import LineProtocol


def main(words):
    partner = LineProtocol(lambda spec: make_agent("random", spec))
    at = {word: int(words[i + 1]) for i, word in enumerate(words[:-1]) if words[i + 1].isdigit()}
    gone = 0
    for line in sys.stdin:
        answer = partner.answer(line)
        word = line.split()[0]
        if word == "id" and "noid" in words:
            continue
        if word == "legal" and "badstart" in words:
            answer = "legal P 0,0 1"
        if word == "go":
            if gone == at.get("die"):
                print("out of wood", file=sys.stderr)
                sys.exit(3)
            if gone == at.get("illegal"):
                answer = "bestmove M 9,9 9,9 value none nodes 0"
            if gone == at.get("error"):
                answer = "error no idea"
            if gone == at.get("mute"):
                continue
            if gone == at.get("sleep"):
                time.sleep(int(words[words.index("sleep") + 2]) / 1000)
            gone += 1
        if answer is not None:
            print(answer, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
