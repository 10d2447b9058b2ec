"""Training: games of the store to samples, samples to a model.

`trainer.train` is what the loop calls; `dataset` makes samples, `batches` feeds and scores them.
Nothing is re-exported here, so that no import of the room alone loads torch.
"""
