"""Values that no training can have are refused with the option that sets them."""

import pytest

from ringrift.core.errors import UsageError
from ringrift.training.engine.settings import TrainSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("steps", 0),
        ("batch_size", 0),
        ("gradient_accumulation_steps", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("weight_decay", -1e-4),
        ("grad_clip", 0.0),
        ("ema_decay", 1.5),
        ("dropout", -0.1),
        ("temperature_end", 0.0),
        ("schedule", "cyclic"),
        ("sampling_weights", "hard"),
        ("policy_loss", "mse"),
        ("temperature_schedule", "step"),
        ("symmetries", "all"),
        ("amp_dtype", "float8"),
    ],
)
def test_a_wrong_value_names_its_option(name, value):
    with pytest.raises(UsageError) as caught:
        TrainSettings(**{name: value})
    assert caught.value.where == "--" + name.replace("_", "-")
    assert str(value) in caught.value.message


def test_float16_without_a_gpu_is_refused():
    with pytest.raises(UsageError, match="float16"):
        TrainSettings(mixed_precision=True, amp_dtype="float16")
    TrainSettings(mixed_precision=True, amp_dtype="float16", device="cuda")
    TrainSettings(amp_dtype="float16")
