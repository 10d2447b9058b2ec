"""What a training begins with: a random net, a model's weights, or parts of another board's model."""

import pytest
import torch

from ringrift.core.errors import UsageError
from ringrift.nets.model_file import ModelError, init_model, load_model
from ringrift.nets.network import Architecture, Convolution, fresh_net
from ringrift.rules import BoardSpec
from ringrift.training.convnet.start import meanings, start_net, transfer_weights

SQUARE8 = BoardSpec.create("square8", 2)
HEX8 = BoardSpec.create("hex8", 2)
HEXAGONAL = BoardSpec.create("hexagonal", 2)


def named(net):
    return dict(net.named_parameters())


def test_a_fresh_net_is_named_by_its_seed():
    one, two = (start_net(SQUARE8, size="micro", seed=seed).net for seed in (1, 1))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert one.architecture.encoder == "planes1"
    other = start_net(SQUARE8, size="micro", seed=1, encoder="planes1-basic").net
    assert other.architecture.encoder == "planes1-basic"
    with pytest.raises(UsageError, match="needs a size"):
        start_net(SQUARE8, seed=1)


def test_a_parent_gives_its_weights_and_its_shape(tmp_path):
    path = init_model(SQUARE8, size="micro", seed=1, folder=tmp_path, encoder="planes1-basic")
    parent = load_model(path, SQUARE8)
    started = start_net(SQUARE8, seed=9, parent=parent)
    assert started.parents == ({"id": parent.id, "role": "warm_start"},)
    assert started.left_out == ()
    assert started.net is parent.net
    assert start_net(SQUARE8, size="micro", seed=9, parent=parent).net is parent.net
    with pytest.raises(UsageError, match="size 'tiny'; the model to begin with has 'micro'"):
        start_net(SQUARE8, size="tiny", seed=1, parent=parent)
    with pytest.raises(UsageError, match="encoder 'planes1'"):
        start_net(SQUARE8, seed=1, encoder="planes1", parent=parent)
    with pytest.raises(UsageError, match="one model"):
        start_net(SQUARE8, seed=1, parent=parent, transfer=path)


def test_a_transfer_within_a_family_of_boards_copies_all_but_longer_rays(tmp_path):
    path = init_model(HEX8, size="micro", seed=1, folder=tmp_path)
    started = start_net(HEXAGONAL, size="micro", seed=2, transfer=path)
    source = load_model(path, HEX8).net
    assert started.parents == ({"id": path.stem, "role": "transfer"},)
    assert len(started.left_out) == 2
    assert all("96 of " in line and "ray" in line for line in started.left_out)
    theirs, own = named(source), named(started.net)
    assert theirs.keys() == own.keys()
    for name, tensor in own.items():
        if not name.startswith("policy_planes"):
            assert torch.equal(tensor, theirs[name]), name
    for name, number in zip(meanings(source), range(1000), strict=False):
        at = meanings(started.net).index(name)
        assert torch.equal(own["policy_planes.weight"][at], theirs["policy_planes.weight"][number])
    fresh = named(fresh_net(Architecture.of("hexagonal", 2, "micro"), seed=2))
    at = [i for i, name in enumerate(meanings(started.net)) if name.endswith(" 24")]
    assert len(at) == 6
    assert torch.equal(own["policy_planes.weight"][at], fresh["policy_planes.weight"][at])


def test_planes_of_other_families_are_known_by_their_step(tmp_path):
    path = init_model(SQUARE8, size="micro", seed=1, folder=tmp_path)
    started = start_net(HEX8, size="micro", seed=2, transfer=path)
    source = load_model(path, SQUARE8).net
    left, own = meanings(source), meanings(started.net)
    assert len(set(left)) == len(left)
    assert len(set(own)) == len(own)
    # direction 1 of hex boards is (0, 1), which is direction 2 of square ones
    number = own.index("ray (0, 1) 3")
    assert torch.equal(
        started.net.policy_planes.weight[number],
        source.policy_planes.weight[left.index("ray (0, 1) 3")],
    )
    assert "ray (1, 1) 3" in left
    assert "ray (1, 1) 3" not in own
    for module in started.net.modules():
        if isinstance(module, Convolution):
            assert not module.weight[:, :, 0, 0].any()
            assert not module.weight[:, :, 2, 2].any()
            assert module.weight[:, :, 0, 1].any()


def test_seats_and_inputs_of_other_meaning_stay_random():
    three = fresh_net(Architecture.of("square8", 3, "micro"), seed=1)
    two = fresh_net(Architecture.of("square8", 2, "micro", encoder="planes1-basic"), seed=2)
    before = {name: tensor.clone() for name, tensor in named(three).items()}
    left_out = transfer_weights(two, three)
    after = named(three)
    for name in ("win.weight", "rank.weight", "margins.bias"):
        assert torch.equal(before[name], after[name])
        assert name in left_out
    (line,) = (line for line in left_out if line.startswith("stem.weight"))
    assert line == "stem.weight: 11 of 43 planes, from run/L 0 to line"
    assert torch.equal(after["stem.weight"][:, 42], two.stem.weight[:, 31])
    assert torch.equal(after["stem.weight"][:, 33], before["stem.weight"][:, 33])
    assert torch.equal(after["value.weight"], two.value.weight)


def test_a_net_of_another_size_has_nothing_to_transfer(tmp_path):
    path = init_model(HEX8, size="micro", seed=1, folder=tmp_path)
    with pytest.raises(UsageError, match="size 'tiny'; the model to transfer from has 'micro'"):
        start_net(SQUARE8, size="tiny", seed=1, transfer=path)


def test_an_unfit_file_to_transfer_from_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="missing"):
        start_net(SQUARE8, size="micro", seed=1, transfer=tmp_path / "gone.safetensors")
