"""Sums over bags and their gradients are those of dense products."""

import pytest
import torch

from ringrift.training.nnue.bags import on_grid, sum_entries, sum_rows

ROWS = torch.tensor([0, 2, 2, 5, 1, 3, 3, 3, 3, 6, 0], dtype=torch.int32)
POINTER = torch.tensor([0, 2, 2, 9, 11], dtype=torch.int32)


def counts(rows, pointer, size):
    """How often each bag has each row: `[bags, size]`."""
    found = torch.zeros(len(pointer) - 1, size)
    for bag in range(len(found)):
        for row in rows[pointer[bag] : pointer[bag + 1]].tolist():
            found[bag, row] += 1
    return found


@pytest.mark.parametrize("width", [1, 7, 64])
@pytest.mark.parametrize("grid", [None, 127.0])
def test_rows(width, grid):
    torch.manual_seed(width)
    table = torch.randn(8, width, requires_grad=True)
    upper = torch.randn(4, width)
    found = sum_rows(table, ROWS, POINTER, grid=grid)
    found.backward(upper)
    made, table.grad = table.grad, None
    dense = table if grid is None else on_grid(table, grid)
    expected = counts(ROWS, POINTER, 8) @ dense
    expected.backward(upper)
    assert torch.allclose(found, expected, atol=1e-4)
    assert torch.allclose(made, table.grad, rtol=1e-5, atol=1e-4)
    assert not made[[4, 7]].any()  # in no bag


def test_entries():
    torch.manual_seed(1)
    values = torch.randn(2, 4, requires_grad=True)
    upper = torch.randn(4)
    found = sum_entries(values, ROWS, POINTER)
    found.backward(upper)
    made, values.grad = values.grad, None
    expected = counts(ROWS, POINTER, 8) @ values.reshape(-1)
    expected.backward(upper)
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.allclose(made, values.grad, atol=1e-5)


def test_the_grid_is_whole_numbers_and_its_gradient_that_of_the_product():
    values = torch.tensor([0.5, -0.013, 1.0], requires_grad=True)
    whole = on_grid(values, 64.0)
    whole.sum().backward()
    assert whole.tolist() == [32.0, -1.0, 64.0]
    assert values.grad.tolist() == [64.0] * 3
