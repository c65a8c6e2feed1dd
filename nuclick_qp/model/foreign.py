"""Checkpoints of the PyTorch ports of NuClick, tiatoolbox and nuclick_torch: theirs in, ours out.

Both ports store the paper's network at full width, under the same key names and with dilation 2 in
the third branch of the third multi-scale block.
"""

import hashlib
import io
import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from nuclick_qp.errors import OptionError, WeightsError
from nuclick_qp.model.cards import (
    FOLDER_VARIABLE,
    WEIGHTS_SUFFIX,
    Card,
    card_at,
    list_card_paths,
    read_card,
    user_models_folder,
    weights_folder,
)
from nuclick_qp.model.checkpoints import load_network, read_weights, store_model, write_model
from nuclick_qp.model.import_options import ImportOptions
from nuclick_qp.model.network import NuClickNet, count_parameters
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp.storage.plain_files import is_there, read_file

PORTS = "tiatoolbox and nuclick_torch"
PORTS_MS3_DILATION: Literal[2] = 2
PORTS_MIN_OBJECT_PX, PORTS_MAX_HOLE_PX = 10, 30  # of their post-processing
STATED_BY_CARDS = {"licence": "licence", "mpp": "mpp", "patch": "patch_px", "threshold": "threshold"}  # options, and their fields
WRAPPERS = ("state_dict", "model_state_dict", "model", "net")  # keys under which training scripts put a state dict
PARALLEL_PREFIX = "module."  # of torch.nn.DataParallel

# Our blocks and theirs. A table by name: they register modules by kind, not in the order of the data.
BLOCKS = {
    **{f"enc1.{i}": f"conv_block_1.{i}" for i in range(3)},
    **{f"enc2.{i}": f"residual_block_1.{i}" for i in range(2)},
    "enc3.0": "residual_block_2",
    "enc3.1": "multiscale_block_1",
    "enc3.2": "residual_block_3",
    **{f"enc4.{i}": f"residual_block_4.{i}" for i in range(3)},
    **{f"enc5.{i}": f"residual_block_5.{i}" for i in range(3)},
    **{f"bottleneck.{i}": f"residual_block_6.{i}" for i in range(2)},
    "up5.up": "conv_transpose_1",
    **{f"dec5.{i}": f"residual_block_7.{i}" for i in range(2)},
    "up4.up": "conv_transpose_2",
    "dec4.0": "residual_block_8",
    "dec4.1": "multiscale_block_2",
    "dec4.2": "residual_block_9",
    "up3.up": "conv_transpose_3",
    **{f"dec3.{i}": f"residual_block_10.{i}" for i in range(2)},
    "up2.up": "conv_transpose_4",
    "dec2.0": "residual_block_11",
    "dec2.1": "multiscale_block_3",
    "dec2.2": "residual_block_12",
    "up1.up": "conv_transpose_5",
    **{f"dec1.{i}": f"conv_block_2.{i}" for i in range(3)},
    "head": "conv_block_3.conv_bn_relu.0",
}
PARTS = {"": "", "first.": "conv_block_1.", "second.": "conv_block_2.", **{f"branches.{i}.": f"conv_block_{i + 1}." for i in range(4)}}
CONV_OR_NORM = re.compile(r"(|first\.|second\.|branches\.\d\.)([01]\.\w+)")  # part of a block, then layer and tensor


def import_checkpoint(path: Path, options: ImportOptions | None = None, *, folder: Path | None = None) -> Card:
    """Turn a checkpoint of a port into a card and weights of ours, and give the card.

    No code of the file is ever run: of a pickle only tensors and plain containers are read.

    Parameters
    ----------
    path
        State dict stored by ``torch.save`` or as safetensors; it may lie under one of `WRAPPERS` and
        its keys may start with ``module.``. Or a model of ours: its card, its weights or its folder.
    folder
        Where NAME.json and NAME.safetensors go; by default the folder of the user's models.

    Raises
    ------
    OptionError
        If the name is taken, or is none, or options contradict the card of a model of ours.
    WeightsError
        If the file cannot be read, is damaged, holds more than tensors or another network, or if the
        folder cannot be written.
    """
    options = options or ImportOptions()
    own = card_at(path)
    options = replace(options, name=(own or path).stem) if options.name is None else options
    target = (folder or user_models_folder()) / f"{options.name}.safetensors"
    _check_not_itself(target, own.with_suffix(WEIGHTS_SUFFIX) if own else path)
    check_free(target, overwrite=options.overwrite)
    if own is not None:
        return _copy_own(own, target, options)
    try:
        data = read_file(path)
    except OSError as err:
        raise WeightsError(f"{path} cannot be read ({err.strerror}); give the file of a checkpoint") from err
    net = convert(read_tensors(data, path), path)
    origin = {"file": path.name, "sha256": hashlib.sha256(data).hexdigest(), "keys": PORTS}
    return _store(net, target, options, origin)


def check_free(target: Path, *, overwrite: bool) -> None:
    """Refuse weights whose name is that of a model of the package, or of one that is there.

    Raises
    ------
    OptionError
        If it is taken; the message says what to do.
    """
    name = target.stem
    if name.casefold() in {path.stem.casefold() for path in list_card_paths(weights_folder())}:
        raise OptionError(f"{name!r} is a model that comes with nuclick-qp; give another --name")
    if not overwrite and (is_there(target) or is_there(target.with_suffix(".json"))):
        raise OptionError(f"there is a model {name!r} in {target.parent}; give another --name, or --overwrite to replace it")


def read_tensors(data: bytes, source: Path) -> dict[str, Tensor]:
    """Give the tensors of a checkpoint by key, without wrapper and ``module.``.

    Parameters
    ----------
    data, source
        Content of the file, and its path for messages.

    Raises
    ------
    WeightsError
        If the content is damaged, or holds anything whose reading could run code.
    """
    is_safetensors = data[8:9] == b"{"  # its header is JSON behind eight bytes of length
    content = _read_safetensors(data, source) if is_safetensors else _read_pickle(data, source)
    if isinstance(content, Mapping):
        content = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), content)
    if not isinstance(content, Mapping):
        raise WeightsError(f"{source} holds no tensors by name; give a file made by torch.save(net.state_dict(), FILE)")
    return {str(key).removeprefix(PARALLEL_PREFIX): tensor for key, tensor in content.items() if isinstance(tensor, Tensor)}


def convert(tensors: Mapping[str, Tensor], source: Path) -> NuClickNet:
    """Build our network from the tensors of a port.

    Parameters
    ----------
    tensors, source
        Tensors by the key names of the ports, and the path of their file for messages.

    Raises
    ------
    WeightsError
        If a key is missing or superfluous, or a tensor has another shape, or values that are no numbers.
    """
    first = tensors.get(foreign_key("enc1.0.0.weight"))
    channels: Literal[4, 5] = 4 if first is not None and first.shape[1:2] == (4,) else 5
    with torch.device("meta"):  # shapes without memory; every tensor is put in below
        net = NuClickNet(NetworkSettings(in_channels=channels, ms3_dilation=PORTS_MS3_DILATION))
    wanted = {key: tensor.shape for key, tensor in net.state_dict().items() if not key.endswith("num_batches_tracked")}
    names = {key: foreign_key(key) for key in wanted}
    missing = [name for name in names.values() if name not in tensors]
    unexpected = sorted(key for key in tensors.keys() - set(names.values()) if not key.endswith("num_batches_tracked"))
    if missing or unexpected:
        found = "; ".join(f"{what} {keys[0]}" for what, keys in (("it lacks", missing), ("it has", unexpected)) if keys)
        raise WeightsError(f"{source} is not the NuClick network of {PORTS} ({found}); only that network can be imported")
    ours = {key: _take(tensors[names[key]], shape, names[key], source) for key, shape in wanted.items()}
    net.load_state_dict(ours, strict=False, assign=True)
    return net.eval()


def foreign_key(key: str) -> str:
    """Give the key of a port for one of ours.

    Examples
    --------
    >>> foreign_key("dec2.1.branches.2.0.weight")
    'multiscale_block_3.conv_block_3.conv_bn_relu.0.weight'
    """
    block = next(block for block in BLOCKS if key.startswith(f"{block}."))
    rest = key.removeprefix(f"{block}.")
    layer = CONV_OR_NORM.fullmatch(rest)
    return f"{BLOCKS[block]}.{rest}" if layer is None else f"{BLOCKS[block]}.{PARTS[layer[1]]}conv_bn_relu.{layer[2]}"


def _check_not_itself(target: Path, source: Path) -> None:
    if is_there(target) and is_there(source) and target.samefile(source):  # `resolve` raises on links to themselves
        raise OptionError(f"{source} would be replaced by what is made from it; give another --name")


def _read_safetensors(data: bytes, source: Path) -> object:
    try:
        return load_safetensors(data)
    except SafetensorError as err:
        raise WeightsError(f"{source} is damaged ({err}); fetch it again") from err


def _read_pickle(data: bytes, source: Path) -> object:
    """Read with the unpickler of torch that knows tensors and plain containers and calls nothing else."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on old formats; what cannot be read is an error
            content: object = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as err:
        reason = "it is no checkpoint, or holds objects that could run code; none was run"
        raise WeightsError(f"{source} is not read: {reason}; give a file made by torch.save(net.state_dict(), FILE)") from err
    except (RuntimeError, ValueError, TypeError, AttributeError, LookupError, EOFError, AssertionError, struct.error) as err:
        reason = (str(err) or type(err).__name__).splitlines()[0]
        raise WeightsError(f"{source} is damaged, or no checkpoint of PyTorch ({reason}); fetch it again") from err
    return content


def _take(tensor: Tensor, shape: torch.Size, key: str, source: Path) -> Tensor:
    """Give a tensor of a checkpoint as float32, if it is what its key promises."""
    if tensor.shape != shape:
        raise WeightsError(f"{source} holds another network: {key} has the shape {tuple(tensor.shape)}, not {tuple(shape)}")
    plain = tensor.layout is torch.strided and tensor.device.type == "cpu" and tensor.is_floating_point()
    if not plain or not torch.isfinite(tensor.float()).all():
        raise WeightsError(f"{source} is damaged: {key} holds values that are no finite numbers; fetch it again")
    return tensor.float()


def _copy_own(path: Path, target: Path, options: ImportOptions) -> Card:
    """Copy a model of ours: its card already says what the options say about one of others."""
    stated = [f"--{name}" for name, told in STATED_BY_CARDS.items() if getattr(options, told) != getattr(ImportOptions(), told)]
    if stated:
        raise OptionError(f"{path} states what {' and '.join(stated)} would say; leave {'it' if len(stated) == 1 else 'them'} out")
    card = read_card(path).model_copy(update={"name": target.stem})
    load_network(card, path.with_suffix(WEIGHTS_SUFFIX))  # they are whole, and those of the card
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_model(target, read_weights(card, path.with_suffix(WEIGHTS_SUFFIX)), card)
    except OSError as err:
        raise _unwritable(target, err) from err
    return card


def _store(net: NuClickNet, target: Path, options: ImportOptions, origin: dict[str, str]) -> Card:
    """Write weights and card."""

    def describe(checksum: str) -> Card:
        return Card(
            name=target.stem,
            description=f"NuClick network imported from {origin['file']}",
            prompt="point",
            mpp=options.mpp,
            patch_px=options.patch_px,
            threshold=options.threshold,
            min_object_px=PORTS_MIN_OBJECT_PX,
            max_hole_px=PORTS_MAX_HOLE_PX,
            network=net.settings,
            licence=options.licence,
            sha256=checksum,
            parameters=count_parameters(net),
            training={"imported": origin},
        )

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return store_model(net, target, describe)
    except OSError as err:
        raise _unwritable(target, err) from err


def _unwritable(target: Path, err: OSError) -> WeightsError:
    return WeightsError(f"{target} cannot be written ({err.strerror}); name another folder with {FOLDER_VARIABLE}")
