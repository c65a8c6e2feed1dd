"""Tests of `nuclick_qp.model.network`."""

from typing import Literal

import pytest
import torch

from nuclick_qp.model.network import NuClickNet, count_parameters
from nuclick_qp.model.network_settings import NetworkSettings


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        (NetworkSettings(), 66_800_321),
        (NetworkSettings(ms_blocks=0), 65_312_577),
        (NetworkSettings(ms_blocks=1), 65_312_577 + 278_784),
        (NetworkSettings(ms_blocks=2), 65_312_577 + 278_784 + 1_114_624),
        (NetworkSettings(in_channels=4), 66_800_321 - 64 * 49),
    ],
)
def test_parameters_are_those_of_the_paper(settings: NetworkSettings, count: int) -> None:
    """The counts follow from the authors' layer table."""
    with torch.device("meta"):
        net = NuClickNet(settings)

    assert count_parameters(net) == count


def test_stages_have_the_parameters_of_the_table() -> None:
    """Each stage agrees with the table by itself, not only their sum."""
    with torch.device("meta"):
        net = NuClickNet()

    stages = {name: count_parameters(module) for name, module in net.named_children() if name != "pool"}

    assert stages == {
        "enc1": 76_352,
        "enc2": 129_536,
        "enc3": 221_696 + 278_784 + 295_424,
        "enc4": 3_247_104,
        "enc5": 12_982_272,
        "bottleneck": 33_038_336,
        "up5": 2_097_664,
        "dec5": 8_850_432,
        "up4": 262_400,
        "dec4": 1_770_496 + 1_114_624 + 1_180_672,
        "up3": 131_200,
        "dec3": 738_304,
        "up2": 32_832,
        "dec2": 110_848 + 94_336 + 73_984,
        "up1": 8_224,
        "dec1": 64_768,
        "head": 33,
    }


def test_quarter_width_has_four_million_parameters() -> None:
    """The shipped size: 4.18 M parameters, about 8 MB in half precision."""
    with torch.device("meta"):
        assert count_parameters(NuClickNet(NetworkSettings(width=0.25))) == 4_183_217


@pytest.mark.parametrize("ms_blocks", [0, 1, 2, 3, 4])
def test_output_has_the_size_of_the_input(ms_blocks: Literal[0, 1, 2, 3, 4]) -> None:
    """One logit per pixel, whatever the number of multi-scale blocks."""
    net = NuClickNet(NetworkSettings(width=0.05, ms_blocks=ms_blocks)).eval()

    assert net(torch.zeros(2, 5, 64, 96)).shape == (2, 1, 64, 96)


def test_dilation_of_the_ports_changes_the_result_but_not_the_tensors() -> None:
    """The trap: both dilations load the same state dict and compute different things."""
    torch.manual_seed(0)
    ours = NuClickNet(NetworkSettings(width=0.1)).eval()
    ports = NuClickNet(NetworkSettings(width=0.1, ms3_dilation=2)).eval()
    ports.load_state_dict(ours.state_dict())
    x = torch.rand(1, 5, 64, 64)

    assert not torch.allclose(ours(x), ports(x))


@pytest.mark.parametrize("wrong", [{"width": 0.0}, {"ms_blocks": 5}, {"in_channels": 3}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    """A setting outside its range never becomes a network."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        NetworkSettings(**wrong)  # type: ignore[arg-type]  # wrong on purpose
