"""`nuclick-qp models`: what models there are, and models of others."""

import json
from pathlib import Path
from typing import Annotated

import typer

from nuclick_qp.model.import_options import ImportOptions
from nuclick_qp_cli.terminal import say, say_json

DEFAULTS = ImportOptions()

app = typer.Typer(help="The models that come with nuclick-qp, and your own.", no_args_is_help=True)


@app.command("list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="Print the cards as one JSON array.")] = False,
    every: Annotated[bool, typer.Option("--all", help="List those that newer ones have replaced as well.")] = False,
) -> None:
    """List the models: name, kind of prompt, resolution, licence."""
    from nuclick_qp.model.cards import leave_out_replaced, list_cards

    cards = list_cards() if every else leave_out_replaced(list_cards())
    if as_json:
        say_json(json.dumps([card.model_dump(mode="json") for card in cards], indent=2, ensure_ascii=False))
        return
    for card in cards:
        say(f"{card.name}: {card.description}")
        say(f"  for {card.prompt}s, {card.mpp:g} um/px, patches of {card.patch_px} px, {card.parameters:,} parameters")
        say(f"  licence: {card.licence}")
        if card.previous:
            say(f"  before it: {card.previous}")


@app.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(help="State dict of tiatoolbox or nuclick_torch, or a model of ours.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="Name of the model; by default that of the file.")] = DEFAULTS.name,
    licence: Annotated[str, typer.Option(help="Licence of the weights, for the card.")] = DEFAULTS.licence,
    mpp: Annotated[float, typer.Option(help="um per pixel that it was trained at.")] = DEFAULTS.mpp,
    patch: Annotated[int, typer.Option(help="Side of its patches in pixels.")] = DEFAULTS.patch_px,
    threshold: Annotated[
        float, typer.Option(help="Probability that makes an object: 0.5 in nuclick_torch, 0.33 in tiatoolbox.")
    ] = DEFAULTS.threshold,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model of that name.")] = DEFAULTS.overwrite,
) -> None:
    """Put a checkpoint of a PyTorch port, or a model that was trained here, among your own; code in the file is never run."""
    from nuclick_qp.model.cards import user_models_folder
    from nuclick_qp.model.foreign import import_checkpoint

    options = ImportOptions(name=name, licence=licence, mpp=mpp, patch_px=patch, threshold=threshold, overwrite=overwrite)
    card = import_checkpoint(file, options)
    say(f"{user_models_folder() / card.name}.json ({card.parameters:,} parameters, sha256 {card.sha256[:12]})")
    say(f"use it: nuclick-qp run PROJECT --{card.prompt}s {card.name}")
