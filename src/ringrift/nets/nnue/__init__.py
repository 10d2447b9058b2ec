"""NNUE: sparse features, a small integer net over them, and its file (training.md 4).

`features` and `rows` list what is active in a position and in a move; `arrays` lays a net out in
memory; `accumulate` and `forward` run it in compiled code, `reference` in NumPy, bit for bit alike;
`network` makes and quantises weights; `file` reads and writes models; `evaluator` is what searches
call. No module here imports torch.
"""
