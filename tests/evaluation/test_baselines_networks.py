"""Tests of `nuclick_qp.evaluation.baselines.networks`."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from nuclick_qp.evaluation.baselines.networks import FCN8, PNet, PyramidResNet, SegNet, UNet
from nuclick_qp.model.folded import fold_batch_norm
from nuclick_qp.model.network import count_parameters

NETWORKS: list[Callable[[int, float, int], nn.Module]] = [UNet, SegNet, FCN8, PNet, PyramidResNet]


def published_count(net: nn.Module) -> int:
    """Count the parameters of a network as if each batch norm, scale and shift, were the bias of the convolution before it."""
    return count_parameters(net) - sum(m.num_features for m in net.modules() if isinstance(m, nn.BatchNorm2d))


def settled(make: Callable[[int, float, int], nn.Module]) -> nn.Module:
    """Make a small network whose batch norms have seen one batch; as they start, a signal dies out on its way through deep ones.

    It is of double precision, since a hundred layers make much of a rounding.
    """
    torch.manual_seed(0)
    net = make(3, 0.1, 1).double()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    net(torch.rand(4, 3, 64, 64, dtype=torch.float64))
    return net.eval()


@pytest.mark.parametrize("make", NETWORKS)
def test_a_network_gives_one_logit_per_pixel_and_class(make: Callable[[int, float, int], nn.Module]) -> None:
    """For any number of channels in and out, and sides that are multiples of 32."""
    net = make(4, 0.05, 3).eval()

    assert net(torch.zeros(2, 4, 64, 96)).shape == (2, 3, 64, 96)


@pytest.mark.parametrize(("make", "classes", "millions"), [(UNet, 2, 31.0), (SegNet, 12, 29.4), (FCN8, 21, 134.4)])
def test_parameters_are_those_of_the_papers(make: Callable[[int, float, int], nn.Module], classes: int, millions: float) -> None:
    """At width 1 and with the classes of the papers, whose figures are rounded (FCN: 134 M without the scores of classes)."""
    with torch.device("meta"):
        net = make(3, 1.0, classes)

    assert published_count(net) / 1e6 == pytest.approx(millions, abs=0.05)


def test_vgg_16_has_its_parameters() -> None:
    """Its 13 convolutions have 14,714,688, in both networks that begin with them."""
    with torch.device("meta"):
        starts = SegNet(3, 1.0).down, FCN8(3, 1.0).stages

    assert [published_count(start) for start in starts] == [14_714_688] * 2


def test_resnet_101_has_its_parameters() -> None:
    """All but its dense layer, 42,500,160, batch norm included."""
    with torch.device("meta"):
        net = PyramidResNet(3, 1.0)

    assert count_parameters(net.stem) + count_parameters(net.stages) == 42_500_160


def test_p_net_sees_181_pixels() -> None:
    """The receptive field that its paper states, which fixes the numbers of convolutions of its blocks."""
    net = PNet(1, 0.05).eval()
    for p in net.parameters():
        torch.nn.init.constant_(p, 0.1)  # so that nothing cancels, and no ReLU closes
    x = torch.ones(1, 1, 192, 192, requires_grad=True)

    net(x)[0, 0, 96, 96].backward()

    assert x.grad is not None
    assert [len(line.unique()) for line in x.grad[0, 0].nonzero().T] == [181, 181]


@pytest.mark.parametrize("make", NETWORKS)
def test_a_patch_is_answered_by_itself(make: Callable[[int, float, int], nn.Module]) -> None:
    """In use, what else is in a batch changes nothing."""
    net, x = settled(make), torch.rand(3, 3, 64, 64, dtype=torch.float64)

    with torch.inference_mode():
        together, alone = net(x), torch.cat([net(patch[None]) for patch in x])

    assert together.std() > 0.03
    assert torch.allclose(together, alone, rtol=0, atol=1e-9)


@pytest.mark.parametrize("make", NETWORKS)
def test_all_batch_norms_can_be_folded(make: Callable[[int, float, int], nn.Module]) -> None:
    """Each is right behind a convolution, and the logits stay the same but for rounding."""
    net, x = settled(make), torch.rand(2, 3, 64, 64, dtype=torch.float64)

    folded = fold_batch_norm(net)

    with torch.inference_mode():
        expected, found = net(x), folded(x)
    assert expected.std() > 0.03
    assert torch.allclose(found, expected, rtol=0, atol=1e-9)
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]


@pytest.mark.parametrize("make", NETWORKS)
def test_every_weight_takes_part(make: Callable[[int, float, int], nn.Module]) -> None:
    """No layer is made and left out: the loss has a gradient for each."""
    torch.manual_seed(0)
    net = make(3, 0.05, 2)

    net(torch.rand(2, 3, 64, 64)).square().sum().backward()

    assert [name for name, p in net.named_parameters() if p.grad is None] == []
