"""Tests of `nuclick_qp.model.cards` and `nuclick_qp.model.checkpoints`."""

import hashlib
import json
import os
import pickle
import re
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from fakes import make_card
from nuclick_qp.errors import ModelNotFoundError, OptionError, WeightsError
from nuclick_qp.model.cards import (
    Card,
    default_model,
    find_card,
    leave_out_replaced,
    list_cards,
    read_card,
    user_models_folder,
    weights_folder,
)
from nuclick_qp.model.checkpoints import load_network, save_weights
from nuclick_qp.model.network import NuClickNet, count_parameters
from nuclick_qp.model.network_settings import NetworkSettings


@pytest.fixture
def stored(tmp_path: Path) -> tuple[NuClickNet, Card, Path]:
    """Store a small network with its card."""
    torch.manual_seed(1)
    net = NuClickNet(NetworkSettings(width=0.25)).eval()
    path = tmp_path / "small.safetensors"
    card = make_card(name="small", sha256=save_weights(net, path), parameters=count_parameters(net))
    path.with_suffix(".json").write_text(card.model_dump_json())
    return net, card, path


def test_stored_network_computes_the_same(stored: tuple[NuClickNet, Card, Path]) -> None:
    """Half precision changes weights by one part in 2048; the outputs follow."""
    net, card, path = stored
    x = torch.rand(1, 5, 64, 64, generator=torch.Generator().manual_seed(0))

    loaded = load_network(card, path)

    assert torch.allclose(loaded(x), net(x), atol=2e-2)
    assert not loaded.training


def test_storing_twice_gives_the_same_bytes(stored: tuple[NuClickNet, Card, Path], tmp_path: Path) -> None:
    """The checksum is that of the network, not of the day."""
    net, card, _ = stored

    assert save_weights(net, tmp_path / "again.safetensors") == card.sha256


def test_values_beyond_half_precision_are_kept(stored: tuple[NuClickNet, Card, Path], tmp_path: Path) -> None:
    """float16 ends at 65504 and has no number between 0 and 6e-8; such tensors stay float32, and are told exactly."""
    net, card, _ = stored
    huge, tiny = "enc1.0.1.bias", "enc1.1.1.bias"
    net.state_dict()[huge].fill_(1e5)
    net.state_dict()[tiny].fill_(1e-9)
    path = tmp_path / "wide.safetensors"

    loaded = load_network(card.model_copy(update={"sha256": save_weights(net, path)}), path).state_dict()

    assert torch.equal(loaded[huge], net.state_dict()[huge])
    assert torch.equal(loaded[tiny], net.state_dict()[tiny])


def test_changed_weights_are_refused(stored: tuple[NuClickNet, Card, Path]) -> None:
    """One byte off the card's checksum."""
    _, card, path = stored
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)

    with pytest.raises(WeightsError, match=r"small\.safetensors has checksum"):
        load_network(card, path)


def test_weights_of_another_network_are_refused(stored: tuple[NuClickNet, Card, Path]) -> None:
    """The checksum fits, the tensors do not."""
    _, card, path = stored
    other = card.model_copy(update={"network": card.network.model_copy(update={"ms_blocks": 2})})

    with pytest.raises(WeightsError, match="does not hold the network of its card"):
        load_network(other, path)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    """A file that runs code when unpickled is refused as what it is: no safetensors."""

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "boom",))  # type: ignore[return-value]

    path = tmp_path / "bomb.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    card = make_card(sha256=hashlib.sha256(path.read_bytes()).hexdigest())

    with pytest.raises(WeightsError):
        load_network(card, path)
    assert not (tmp_path / "boom").exists()


def test_missing_weights_are_named(tmp_path: Path) -> None:
    """The message names the file and what to do."""
    with pytest.raises(WeightsError, match=r"gone\.safetensors cannot be read.*install"):
        load_network(make_card(), tmp_path / "gone.safetensors")


def test_unknown_model_lists_those_there_are(stored: tuple[NuClickNet, Card, Path]) -> None:
    """A typing error in a name is easily mended."""
    folder = stored[2].parent

    assert find_card("small", folder)[0].name == "small"
    with pytest.raises(ModelNotFoundError, match="choose one of: 'small'"):
        find_card("smal", folder)


def test_own_models_stand_behind_those_of_the_package(own_models: Path) -> None:
    """Found by name and listed last; a name of the package means the model of the package."""
    own_models.mkdir()
    for name in ("mine", "nuclei"):
        (own_models / f"{name}.json").write_text(make_card(name=name, description="my own").model_dump_json())

    assert find_card("mine") == (make_card(name="mine", description="my own"), own_models / "mine.safetensors")
    assert find_card("nuclei")[1].parent == weights_folder()
    assert [card.name for card in list_cards()][-2:] == ["mine", "nuclei"]


def test_own_models_are_no_default(own_models: Path) -> None:
    """What a run does must not depend on a file that someone once put somewhere."""
    own_models.mkdir()
    (own_models / "glands.json").write_text(make_card(name="glands", prompt="line").model_dump_json())

    assert default_model("line") == ("glands" if (weights_folder() / "glands.json").exists() else None)


def test_folder_of_own_models_is_that_of_the_system_or_of_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty variable counts as none."""
    monkeypatch.setenv("NUCLICK_MODELS", str(tmp_path))
    assert user_models_folder() == tmp_path

    monkeypatch.setenv("NUCLICK_MODELS", "")
    assert user_models_folder().parts[-2:] == ("nuclick-qp", "models")


def test_unknown_model_names_both_folders(own_models: Path) -> None:
    """The user sees where to put one."""
    with pytest.raises(ModelNotFoundError, match=f"in .*weights or {re.escape(str(own_models))}; choose one of: "):
        find_card("nucleii")


def test_broken_card_is_named(tmp_path: Path) -> None:
    """A card with a key that does not belong there is no card."""
    path = tmp_path / "odd.json"
    path.write_text('{"name": "odd"}')

    with pytest.raises(WeightsError, match=r"odd\.json is not a model card"):
        read_card(path)


def test_shipped_models_are_whole() -> None:
    """Each card loads with its weights, says where it comes from, and stays below 10 MB."""
    cards = list_cards(weights_folder())

    assert "nuclei" in [card.name for card in cards]
    for card in cards:
        path = weights_folder() / f"{card.name}.safetensors"
        net = load_network(card, path)
        assert count_parameters(net) == card.parameters
        assert path.stat().st_size < 10_000_000
        assert card.training["config"]["sources"]
        assert card.training["commit"]
        assert card.licence


def test_a_replaced_model_is_found_by_name_and_not_offered(own_models: Path) -> None:
    """Whoever chooses sees the newest; whoever wants the results of before names the version."""
    own_models.mkdir()
    for name, previous in (("mine", "mine-v1"), ("mine-v1", None)):
        (own_models / f"{name}.json").write_text(make_card(name=name, previous=previous).model_dump_json())

    offered = [card.name for card in leave_out_replaced(list_cards())]
    assert "mine" in offered
    assert "mine-v1" not in offered
    assert find_card("mine-v1")[0].name == "mine-v1"


def test_points_have_a_default_model() -> None:
    """`nuclei` is for points; a kind of prompt has a default only when its model is there."""
    assert default_model("point") == "nuclei"
    assert default_model("line") == ("glands" if "glands" in [card.name for card in list_cards()] else None)


def test_shipped_nuclei_model_finds_a_dark_disc_on_pink() -> None:
    """The trained network knows what a nucleus looks like: a blue disc in pink tissue."""
    card, path = find_card("nuclei")
    row, col = np.mgrid[:128, :128]
    inside = np.hypot(row - 64, col - 64) < 12
    x = np.zeros((1, 5, 128, 128), np.float32)
    x[0, :3] = np.where(inside, np.array([90, 70, 140])[:, None, None], np.array([230, 190, 215])[:, None, None]) / 255
    x[0, 3, 64, 64] = 1

    with torch.inference_mode():
        mask = load_network(card, path)(torch.from_numpy(x))[0, 0].numpy() > 0

    assert (mask & inside).sum() / (mask | inside).sum() > 0.8


@pytest.mark.skipif(os.name != "posix", reason="Windows always knows a folder")
def test_a_user_without_a_home_has_the_models_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers run as numbers that no list of users knows; only who wants a folder of their own is told."""

    def unknown(number: int) -> NoReturn:
        raise KeyError(number)

    for name in ("HOME", "XDG_DATA_HOME", "NUCLICK_MODELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)

    assert find_card("nuclei")[0].name == "nuclei"
    with pytest.raises(OptionError, match="no home folder; name a folder for models with NUCLICK_MODELS"):
        user_models_folder()


def test_a_name_that_no_file_can_have_is_an_unknown_model() -> None:
    """As any other name that is mistyped."""
    with pytest.raises(ModelNotFoundError, match="there is no model"):
        find_card("n" * 300)


@pytest.mark.parametrize("named", ["small.json", "small.safetensors", ""])
def test_a_model_goes_by_its_card_its_weights_or_its_folder(stored: tuple[NuClickNet, Card, Path], named: str) -> None:
    """Whichever of them a user points at; other JSON files in the folder are none."""
    _, card, path = stored
    (path.parent / "notes.json").write_text("{}")

    assert find_card(str(path.parent / named)) == (card, path)


def test_a_folder_of_several_models_is_told_with_their_names(stored: tuple[NuClickNet, Card, Path]) -> None:
    """Which is meant, only the user knows."""
    _, _, path = stored
    for suffix in (".json", ".safetensors"):
        path.with_name(f"other{suffix}").write_bytes(path.with_suffix(suffix).read_bytes())

    with pytest.raises(ModelNotFoundError, match=r"holds 2 models.*'other\.json', 'small\.json'"):
        find_card(str(path.parent))


def test_a_name_is_looked_up_before_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder `nuclei` in the place where somebody works changes nothing; the way to a model that is not there is no name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nuclei").mkdir()

    assert find_card("nuclei")[1].parent == weights_folder()
    with pytest.raises(ModelNotFoundError, match="its folder"):
        find_card("gone/nuclei")


def test_one_broken_card_hides_no_other_model(
    own_models: Path, stored: tuple[NuClickNet, Card, Path], caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, and all others can be listed and used."""
    card = stored[1]
    own_models.mkdir()
    (own_models / "broken.json").write_text("{")
    (own_models / "small.json").write_text(card.model_dump_json())

    assert "small" in [one.name for one in list_cards()]
    assert "broken.json is not a model card" in caplog.text
    assert find_card("small")[0] == card


@pytest.mark.parametrize(
    "change", [{"mpp": 1e308}, {"mpp": 1e-9}, {"patch_px": 32 * 10**9}, {"click_radius_px": 1e9}, {"network": {"width": 0}}]
)
def test_cards_that_no_network_can_follow_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    """Before anything is computed from them."""
    content = json.loads(make_card().model_dump_json())
    for key, value in change.items():
        content[key] = {**content[key], **value} if isinstance(value, dict) else value
    (tmp_path / "odd.json").write_text(json.dumps(content))

    with pytest.raises(WeightsError, match=r"odd\.json is not a model card"):
        read_card(tmp_path / "odd.json")


def test_a_card_of_a_huge_network_takes_no_memory(stored: tuple[NuClickNet, Card, Path]) -> None:
    """Width 4 would be a thousand million parameters; the weights beside it tell before one of them is made."""
    resource = pytest.importorskip("resource")
    _, card, path = stored
    huge = card.model_copy(update={"network": card.network.model_copy(update={"width": 4.0})})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(WeightsError, match="does not hold the network of its card"):
        load_network(huge, path)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB; the network has 4,000,000


def test_a_card_for_lines_states_no_size_of_objects() -> None:
    """A squiggle tells the size of its gland; only clicks could tell the scale of an image."""
    assert make_card(object_px=20).object_px == 20
    with pytest.raises(ValidationError, match="object_px is for points"):
        make_card(prompt="line", object_px=20)
