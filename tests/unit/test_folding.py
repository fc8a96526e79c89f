"""Folding changes how the numbers are made, not the numbers."""

import torch

from encoders.folding import fold_norm, fold_padding


class Padded(torch.nn.Conv2d):
    """A convolution with a padding layer of its own."""

    def __init__(self, padding: tuple[int, int, int, int]) -> None:
        super().__init__(3, 5, 3)
        self.static_padding: torch.nn.Module = torch.nn.ZeroPad2d(padding)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return super().forward(self.static_padding(rows))


def trained_norm() -> torch.nn.BatchNorm2d:
    norm = torch.nn.BatchNorm2d(5)
    for part in (norm.weight, norm.bias, norm.running_mean):
        torch.nn.init.normal_(part)
    torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
    return norm


def test_a_folded_norm_gives_the_same() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3, bias=False), trained_norm()).eval()
    rows = torch.randn(2, 3, 8, 8)
    before = model(rows)
    fold_norm(model, "0", "1")
    assert isinstance(model[1], torch.nn.Identity)
    torch.testing.assert_close(model(rows), before, atol=1e-5, rtol=1e-5)


def test_even_padding_is_folded_and_uneven_left() -> None:
    torch.manual_seed(0)
    rows = torch.randn(2, 3, 8, 8)
    for padding, folded in (((1, 1, 1, 1), True), ((0, 1, 0, 1), False)):
        model = torch.nn.Sequential(Padded(padding)).eval()
        before = model(rows)
        fold_padding(model)
        assert isinstance(model[0].static_padding, torch.nn.Identity) is folded
        torch.testing.assert_close(model(rows), before)
