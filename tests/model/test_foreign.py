"""Tests of `nuclick_qp.model.foreign`: checkpoints of others give the same outputs here."""

import hashlib
import json
import logging
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from fakes import make_card
from nuclick_qp.errors import OptionError, WeightsError
from nuclick_qp.model.cards import Card, find_card, list_cards, read_card
from nuclick_qp.model.checkpoints import load_network, save_weights
from nuclick_qp.model.foreign import BLOCKS, convert, foreign_key, import_checkpoint, read_tensors
from nuclick_qp.model.import_options import ImportOptions
from nuclick_qp.model.network import NuClickNet
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp_cli.main import main
from port_network import PortNet, flat_tensors, make_lively


@dataclass(frozen=True)
class Imported:
    """A checkpoint, what came of it, an input, and the output of the network that made the checkpoint."""

    checkpoint: Path
    folder: Path
    card: Card
    x: Tensor
    expected: Tensor


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Imported]:
    """Import a checkpoint at full width, once; the large files go with the last test."""
    torch.set_num_threads(1)
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("foreign")
    x = torch.rand(2, 5, 64, 64)
    net = make_lively(PortNet(), x)
    torch.save(net.state_dict(), folder / "NuClick_40xAll.pth")
    with torch.inference_mode():
        expected = net(x)
    card = import_checkpoint(folder / "NuClick_40xAll.pth", folder=folder / "models")
    yield Imported(folder / "NuClick_40xAll.pth", folder / "models", card, x, expected)
    shutil.rmtree(folder)


def test_imported_network_gives_the_outputs_of_its_origin(imported: Imported) -> None:
    """The tensors are the same (float16 holds them exactly); only the order of floating-point sums may differ.

    That is some 1e-5 of the outputs' spread. Dilation 3 instead of 2 in one branch moves them by far more:
    the comparison would see it.
    """
    net = load_network(*find_card(imported.card.name, imported.folder))
    wrong = load_network(_with_dilation_3(imported.card), imported.folder / "NuClick_40xAll.safetensors")
    scale = imported.expected.std()

    with torch.inference_mode():
        error = (net(imported.x) - imported.expected).abs().max() / scale
        wrong_error = (wrong(imported.x) - imported.expected).abs().max() / scale

    assert error < 1e-4
    assert wrong_error > 1e-2


def _with_dilation_3(card: Card) -> Card:
    return card.model_copy(update={"network": card.network.model_copy(update={"ms3_dilation": 3})})


def test_card_says_what_the_file_does_not(imported: Imported) -> None:
    """The network of the ports, their scale and post-processing, and where the weights come from."""
    card = imported.card
    facts = card.network

    assert (facts.width, facts.ms_blocks, facts.in_channels, facts.ms3_dilation) == (1, 3, 5, 2)
    assert (card.name, card.prompt, card.mpp, card.patch_px, card.threshold) == ("NuClick_40xAll", "point", 0.25, 128, 0.5)
    assert (card.min_object_px, card.max_hole_px, card.parameters) == (10, 30, 66_800_321)
    assert card.licence.startswith("unknown")
    assert card.training["imported"] == {
        "file": "NuClick_40xAll.pth",
        "sha256": hashlib.sha256(imported.checkpoint.read_bytes()).hexdigest(),
        "keys": "tiatoolbox and nuclick_torch",
    }


def test_every_tensor_of_a_port_has_one_of_ours() -> None:
    """The table leaves out no block, and no two of ours read the same."""
    with torch.device("meta"):
        ours = NuClickNet(NetworkSettings(ms3_dilation=2)).state_dict().keys()
        theirs = PortNet().state_dict().keys()

    assert sorted(map(foreign_key, ours)) == sorted(theirs)
    assert len(set(BLOCKS.values())) == len(BLOCKS)


def test_network_without_exclusion_map_is_known_by_its_first_kernel() -> None:
    """Four channels: the image and the inclusion map."""
    tensors = flat_tensors()
    tensors["conv_block_1.0.conv_bn_relu.0.weight"] = torch.zeros(64, 4, 7, 7)

    assert convert(tensors, Path("four.pth")).settings == NetworkSettings(in_channels=4, ms3_dilation=2)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model", "net"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrapped_and_parallel_state_dicts_are_opened(tmp_path: Path, wrapper: str | None, prefix: str) -> None:
    """Training scripts put a state dict beside other things, and DataParallel puts a word before each key."""
    tensors = {f"{prefix}a.weight": torch.ones(2), f"{prefix}a.bias": torch.zeros(1)}
    path = tmp_path / "wrapped.pth"
    torch.save(tensors if wrapper is None else {"epoch": 7, wrapper: tensors}, path)

    assert read_tensors(path.read_bytes(), path).keys() == {"a.weight", "a.bias"}


@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_of_torch_are_read(tmp_path: Path, zipped: bool) -> None:
    """Before PyTorch 1.6 a checkpoint was a bare pickle."""
    path = tmp_path / "old.pth"
    torch.save({"a": torch.arange(3.0)}, path, _use_new_zipfile_serialization=zipped)

    assert torch.equal(read_tensors(path.read_bytes(), path)["a"], torch.arange(3.0))


def test_safetensors_are_read_whatever_their_suffix(tmp_path: Path) -> None:
    """The content tells."""
    path = tmp_path / "weights.bin"
    save_file({"module.a": torch.arange(3.0)}, path)

    assert torch.equal(read_tensors(path.read_bytes(), path)["a"], torch.arange(3.0))


def _refused(content: object, folder: Path) -> str:
    """Try to import a file of this content, and give the message; nothing is written."""
    path = folder / "given.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(WeightsError) as refusal:
        import_checkpoint(path, folder=folder / "models")
    assert not (folder / "models").exists()
    message = str(refusal.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


class _Bomb:
    """An object whose pickle makes a file when it is read as pickles usually are."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.mark,)


def _as_pickle(content: object) -> object:
    return pickle.dumps(content)


def _as_checkpoint(content: object) -> object:
    return content


def _beside_tensors(content: object) -> object:
    return {"state_dict": flat_tensors(), "arguments": content}


@pytest.mark.parametrize("wrap", [_as_pickle, _as_checkpoint, _beside_tensors])
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path, wrap: Callable[[object], object]) -> None:
    """As a bare pickle, in a file of `torch.save`, and beside tensors that are as they should be."""
    mark = tmp_path / "mark"
    content = wrap(_Bomb(mark))
    pickle.loads(pickle.dumps(_Bomb(mark)))
    assert mark.exists()  # the bomb works
    mark.unlink()

    message = _refused(content, tmp_path)

    assert "none was run" in message
    assert not mark.exists()


def test_another_network_is_refused(tmp_path: Path) -> None:
    """nuclick_torch also trains a U-Net; its keys tell."""
    unet = {"inc.double_conv.0.weight": torch.zeros(64, 5, 3, 3), "outc.conv.weight": torch.zeros(1, 64, 1, 1)}

    message = _refused(unet, tmp_path)

    assert "is not the NuClick network of tiatoolbox and nuclick_torch" in message
    assert "it has inc.double_conv.0.weight" in message


@pytest.mark.parametrize(
    ("key", "tensor", "said"),
    [
        ("conv_block_3.conv_bn_relu.0.weight", torch.zeros(2, 32, 1, 1), "has the shape (2, 32, 1, 1), not (1, 32, 1, 1)"),
        ("conv_block_1.0.conv_bn_relu.0.weight", torch.zeros(64, 3, 7, 7), "has the shape (64, 3, 7, 7), not (64, 5, 7, 7)"),
        ("residual_block_2.conv_block_1.conv_bn_relu.1.bias", torch.full((128,), torch.nan), "no finite numbers"),
        ("residual_block_2.conv_block_1.conv_bn_relu.1.bias", torch.zeros(128, dtype=torch.int64), "no finite numbers"),
        ("residual_block_13.conv_block_1.conv_bn_relu.1.bias", torch.zeros(1), "it has residual_block_13"),
    ],
)
def test_tensor_that_does_not_fit_is_named(tmp_path: Path, key: str, tensor: Tensor, said: str) -> None:
    """Classes, channels, values, blocks: a network that would load in part is none."""
    message = _refused({**flat_tensors(), key: tensor}, tmp_path)

    assert key in message
    assert said in message


@pytest.mark.parametrize("content", [b"", b"\x80", b"no checkpoint", b"PK\x03\x04 cut", bytes(8) + b"{", [1, 2], {"state_dict": {}}])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: object) -> None:
    """Empty, foreign, or without tensors."""
    _refused(content, tmp_path)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_truncated_checkpoint_is_refused(tmp_path: Path, zipped: bool, part: float) -> None:
    """A download that stopped; wherever it did."""
    path = tmp_path / "whole.pth"
    torch.save(flat_tensors(), path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()

    _refused(data[: int(part * len(data))], tmp_path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    """With what to do."""
    with pytest.raises(WeightsError, match=r"gone\.pth cannot be read \(No such file"):
        import_checkpoint(tmp_path / "gone.pth", folder=tmp_path)


def test_a_link_to_itself_is_told_as_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Python 3.11 and 3.12 raise another error than that of a missing file on the way there."""
    path = tmp_path / "circle.pth"
    path.symlink_to(path)

    with pytest.raises(WeightsError, match=r"circle\.pth cannot be read"):
        import_checkpoint(path, folder=tmp_path)


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "-x", "a b", "x.json", "dot.", "none", "default", "x" * 101, "Präparat"])
def test_name_must_be_a_plain_file_name(name: str) -> None:
    """It becomes two files, and a word on the command line."""
    with pytest.raises(OptionError, match="--name"):
        ImportOptions(name=name)


def test_name_of_the_file_must_be_plain_too(tmp_path: Path) -> None:
    """The remedy is a name."""
    with pytest.raises(OptionError, match=r"'my weights' cannot be the name of a model.*--name"):
        import_checkpoint(tmp_path / "my weights.pth", folder=tmp_path)


@pytest.mark.parametrize("options", [{"mpp": 0.0}, {"mpp": float("nan")}, {"patch_px": 100}, {"patch_px": 0}, {"threshold": 1.0}])
def test_numbers_out_of_range_are_refused(options: Mapping[str, float]) -> None:
    """Before anything is read."""
    with pytest.raises(OptionError, match="correct --"):
        ImportOptions(**options)  # type: ignore[arg-type]  # mixed numbers


@pytest.mark.parametrize("name", ["nuclei", "NUCLEI"])
def test_names_of_the_package_are_taken(tmp_path: Path, name: str) -> None:
    """Also in other letters: some disks do not tell them apart."""
    with pytest.raises(OptionError, match="comes with nuclick-qp; give another --name"):
        import_checkpoint(tmp_path / "x.pth", ImportOptions(name=name, overwrite=True), folder=tmp_path)


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_used_name_is_refused_unless_it_may_be_replaced(tmp_path: Path, suffix: str) -> None:
    """Both files of a model count; `--overwrite` gets past this, to the checkpoint that is not there."""
    (tmp_path / f"mine{suffix}").write_text("mine")

    with pytest.raises(OptionError, match=r"there is a model 'mine' in .*--overwrite"):
        import_checkpoint(tmp_path / "x.pth", ImportOptions(name="mine"), folder=tmp_path)
    with pytest.raises(WeightsError, match="cannot be read"):
        import_checkpoint(tmp_path / "x.pth", ImportOptions(name="mine", overwrite=True), folder=tmp_path)
    assert (tmp_path / f"mine{suffix}").read_text() == "mine"


def test_checkpoint_never_replaces_itself(tmp_path: Path) -> None:
    """The weights in full would be lost."""
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"weights in full")

    with pytest.raises(OptionError, match="would be replaced"):
        import_checkpoint(path, ImportOptions(overwrite=True), folder=tmp_path)
    assert path.read_bytes() == b"weights in full"


def test_folder_that_cannot_be_made_is_named(imported: Imported, tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "models").write_text("a file")

    with pytest.raises(WeightsError, match=r"cannot be written.*NUCLICK_MODELS"):
        import_checkpoint(imported.checkpoint, folder=tmp_path / "models")


def _call(*arguments: str | Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command line in this process, and give its exit code."""
    monkeypatch.setattr(sys, "argv", ["nuclick-qp", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        main()
    logging.getLogger().handlers.clear()  # `main` adds one that holds the captured stream of its test
    return int(done.value.code or 0)


def test_command_imports_lists_and_replaces(
    tmp_path: Path, own_models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says where the card is and how to use it; a second time it asks for `--overwrite`."""
    torch.save(flat_tensors(), tmp_path / "given.pth")
    command = ["models", "import", str(tmp_path / "given.pth"), "--name", "theirs"]

    assert _call(*command, "--licence", "CC-BY-NC-SA-4.0", "--threshold", "0.33", monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    assert str(own_models / "theirs.json") in said
    assert "--points theirs" in said
    assert _call("models", "list", "--json", monkeypatch=monkeypatch) == 0
    listed = json.loads(capsys.readouterr().out)[-1]
    assert (listed["name"], listed["licence"], listed["threshold"]) == ("theirs", "CC-BY-NC-SA-4.0", 0.33)

    assert _call(*command, monkeypatch=monkeypatch) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert _call(*command, "--overwrite", monkeypatch=monkeypatch) == 0
    assert list_cards()[-1].threshold == 0.5
    shutil.rmtree(own_models)  # 133 MB


def test_command_refuses_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3, and nothing on stdout."""
    (tmp_path / "bad.pth").write_bytes(pickle.dumps(_Bomb(tmp_path / "mark")))

    code = _call("models", "import", tmp_path / "bad.pth", monkeypatch=monkeypatch)

    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert str(tmp_path / "bad.pth") in err
    assert not (tmp_path / "mark").exists()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Store a small model of ours, as a training does, and give its card."""
    net = NuClickNet(NetworkSettings(width=0.07)).eval()
    path = tmp_path / "run" / "mine.json"
    path.parent.mkdir()
    card = make_card(name="mine", mpp=0.5, prompt="line", network=net.settings, sha256=save_weights(net, path.with_suffix(".safetensors")))
    path.write_text(card.model_dump_json())
    return path


@pytest.mark.parametrize("named", ["mine.json", "mine.safetensors", ""])
def test_a_model_of_ours_is_imported_as_it_is(own: Path, tmp_path: Path, named: str) -> None:
    """Card and weights are copied, whichever is named; only the name may be another."""
    card = import_checkpoint(own.parent / named, ImportOptions(name="again"), folder=tmp_path / "models")

    assert card == read_card(own).model_copy(update={"name": "again"})
    assert find_card("again", tmp_path / "models")[0] == card
    load_network(card, tmp_path / "models" / "again.safetensors")
    assert import_checkpoint(own.parent / named, folder=tmp_path / "models").name == "mine"


def test_what_the_card_of_a_model_of_ours_states_is_not_stated_again(own: Path, tmp_path: Path) -> None:
    """Nothing that a user says is passed over."""
    with pytest.raises(OptionError, match="--licence and --mpp would say; leave them out"):
        import_checkpoint(own, ImportOptions(mpp=0.4, licence="mine"), folder=tmp_path / "models")


def test_a_damaged_model_of_ours_is_not_imported(own: Path, tmp_path: Path) -> None:
    """And nothing is written."""
    own.with_suffix(".safetensors").write_bytes(b"damaged")

    with pytest.raises(WeightsError, match="checksum"):
        import_checkpoint(own, folder=tmp_path / "models")
    assert not (tmp_path / "models").exists()
