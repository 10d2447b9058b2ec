"""Nets: position encoders, policy/value networks, model files, batched inference.

`encoder` is compiled and imports no torch; `network`, `model_file` and `inference` do. What other
rooms use: `inference.NetEvaluator`, `model_file.load_model`, `model_file.init_model`,
`encoder.ENCODER`. Nothing is re-exported here, so that a room that needs only the encoder does not
load torch.
"""
