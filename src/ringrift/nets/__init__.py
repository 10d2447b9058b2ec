"""Nets: position encoders, policy/value networks, model files, batched inference.

`network`, `model_file` and `inference` import torch; `encoder`, `container`, `loading` and all of
`nnue` do not. What other rooms use: `loading.open_model` for a model of whatever kind,
`inference.NetEvaluator`, `model_file.load_model`, `model_file.init_model`, `encoder.ENCODER`, and
`nnue.file` for NNUE models. Nothing is re-exported here, so that a room that needs only an encoder
does not load torch.
"""
