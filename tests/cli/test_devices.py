"""`--device` of commands that play games: what it comes to, and why."""

from pathlib import Path

import pytest
import torch

from ringrift.cli import devices
from ringrift.cli.devices import NO_NET, chosen_device
from ringrift.core.errors import UsageError

HERE = Path(__file__)


def test_the_cpu_is_taken_as_asked():
    chosen = chosen_device("cpu", nets=True)
    assert (chosen.name, chosen.note, chosen.gpu) == ("cpu", "cpu", None)


@pytest.mark.skipif(devices.NVIDIA.exists(), reason="an NVIDIA driver is here")
def test_without_a_driver_auto_is_the_cpu_and_cuda_is_refused():
    assert chosen_device("auto", nets=True).note == "cpu (no CUDA device)"
    with pytest.raises(UsageError, match="no device cuda:1: no CUDA device"):
        chosen_device("cuda:1", nets=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_a_driver_without_a_device_that_torch_can_use_is_told(monkeypatch):
    monkeypatch.setattr(devices, "NVIDIA", HERE)
    with pytest.raises(UsageError, match=r"CPUs only|torch finds no CUDA device"):
        chosen_device("cuda", nets=True)
    assert "torch" in chosen_device("auto", nets=True).note


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "cuda:1000"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(UsageError, match="unknown device"):
        chosen_device(name, nets=True)


@pytest.mark.gpu
def test_a_gpu_is_taken_only_where_a_net_plays():
    chosen = chosen_device("auto", nets=True)
    assert (chosen.name, chosen.gpu) == ("cuda:0", 0)
    assert torch.cuda.get_device_name(0) in chosen.note
    assert chosen_device("auto", nets=False).note == f"cpu ({NO_NET})"
    with pytest.raises(UsageError, match="no convolutional net"):
        chosen_device("cuda", nets=False)
    count = torch.cuda.device_count()
    with pytest.raises(UsageError, match=f"torch finds {count} CUDA devices"):
        chosen_device(f"cuda:{count}", nets=True)
