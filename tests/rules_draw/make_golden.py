"""Write the golden text drawings anew: `python -m tests.rules_draw.make_golden`."""

from pathlib import Path

from ringrift.rules.draw import text

from .drawings import ALL_BOARDS, crowded

if __name__ == "__main__":
    for board in ALL_BOARDS:
        path = Path(__file__).parent / "golden" / f"{board}.txt"
        path.write_text(text(crowded(board)), encoding="utf-8")
