"""Weights on disk: safetensors with a checksum in the card. Loading never runs code from a file."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from nuclick_qp.errors import WeightsError
from nuclick_qp.model.cards import Card, write_card
from nuclick_qp.model.network import NuClickNet
from nuclick_qp.plain_text import listed
from nuclick_qp.storage.atomic import write_atomically
from nuclick_qp.storage.locks import hold
from nuclick_qp.storage.plain_files import is_file, read_file

REMEDY = "install nuclick-qp anew, or import the model again if it is your own"


def store_model(net: NuClickNet, path: Path, describe: Callable[[str], Card]) -> Card:
    """Write weights, and beside them their card; at any moment the old model stands there whole, or the new one.

    The new weights wait under a name of their own until the new card is there, which has their
    checksum; only then they take the place of the old ones.

    Parameters
    ----------
    path
        Where the weights go.
    describe
        Makes the card, from the sha256 of the weights.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    data = packed_weights(net)
    card = describe(hashlib.sha256(data).hexdigest())
    write_model(path, data, card)
    return card


def write_model(path: Path, data: bytes, card: Card) -> None:
    """Write weights and their card as `store_model` does.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    with hold(path):
        waiting = _waiting_weights(path)
        write_atomically(waiting, data)
        write_card(path.with_suffix(".json"), card)
        waiting.replace(path)


def save_weights(net: NuClickNet, path: Path) -> str:
    """Write the weights of a network as `packed_weights` gives them, and give the sha256 of the file."""
    data = packed_weights(net)
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


def packed_weights(net: NuClickNet) -> bytes:
    """Give the weights of a network in half precision, as safetensors.

    The running statistics of batch norm are kept in full, and so is every tensor that float16
    cannot hold to 1/1024 of its largest value: one with values beyond 65504, or with tiny ones only.
    """
    tensors = {}
    for key, tensor in net.state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue
        full = tensor.detach().to("cpu", torch.float32).contiguous()
        statistics = key.endswith(("running_mean", "running_var"))
        tensors[key] = full if statistics or not _fits_half(full) else full.half()
    return save(tensors)


def read_weights(card: Card, path: Path) -> bytes:
    """Give the content of the file with the weights of a card.

    Raises
    ------
    WeightsError
        If the file is missing, or its checksum differs from the card.
    """
    try:
        found = {hashlib.sha256(data).hexdigest(): data for data in map(read_file, _places(path))}
    except OSError as err:
        raise WeightsError(f"{path} cannot be read ({err.strerror}); {REMEDY}") from err
    if card.sha256 not in found:
        raise WeightsError(f"{path} has checksum {next(iter(found))[:12]}, its card says {card.sha256[:12]}; {REMEDY}")
    return found[card.sha256]


def load_network(card: Card, path: Path) -> NuClickNet:
    """Build the network of a card with its weights, in float32 and ready for use.

    Raises
    ------
    WeightsError
        If the file is missing, its checksum differs from the card, or its tensors do not fit.
    """
    data = read_weights(card, path)
    try:
        tensors = load(data)
    except (SafetensorError, RuntimeError) as err:
        raise WeightsError(f"{path} does not hold the network of its card ({err}); {REMEDY}") from err
    _refuse_other_network(card, path, tensors)
    net = NuClickNet(card.network)
    net.load_state_dict({key: tensor.float() for key, tensor in tensors.items()}, strict=False)
    return net.eval()


def _refuse_other_network(card: Card, path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Compare tensors with those of a network that takes no memory: a card can ask for many gigabytes."""
    with torch.device("meta"):
        wanted = {key: tensor.shape for key, tensor in NuClickNet(card.network).state_dict().items()}
    found = {key: tensor.shape for key, tensor in tensors.items()}
    other = {key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)}
    other = {key for key in other if not key.endswith("num_batches_tracked")}
    if other:
        what = f"{listed(sorted(other), most=3)}: missing, superfluous or of another shape"
        raise WeightsError(f"{path} does not hold the network of its card ({what}); {REMEDY}")


def _places(path: Path) -> list[Path]:
    """List the files that may hold the weights of a card: whoever wrote it may have been killed before the last step."""
    return [place for place in (path, _waiting_weights(path)) if is_file(place)] or [path]


def _waiting_weights(path: Path) -> Path:
    """Give the name that new weights have until their card is there; no model can be called so."""
    return path.with_name(f".{path.name}.new")


def _fits_half(tensor: Tensor) -> bool:
    """Tell whether float16 holds a tensor as well as it holds numbers of its normal range."""
    error = (tensor.half().float() - tensor).abs().max()
    return bool(error <= tensor.abs().max() / 1024)
