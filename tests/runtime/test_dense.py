"""Which tensors hold one number after the other."""

from __future__ import annotations

import pytest
import torch

from robustbench_mix.runtime.dense import is_dense

X = torch.eye(3)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested", "ignore:torch.quantize")
def test_layouts() -> None:
    """Those of other kinds are told apart."""
    assert is_dense(X)
    assert is_dense(X.t()[::2])
    assert not is_dense(X.to_sparse())
    assert is_dense(X.to("meta"))
    assert not is_dense(torch.nested.nested_tensor([X, X]))
    assert not is_dense(torch.quantize_per_tensor(X, 0.1, 0, torch.quint8))
