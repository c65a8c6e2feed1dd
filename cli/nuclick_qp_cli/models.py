"""`nuclick-qp models`: what models there are."""

import json
from typing import Annotated

import typer

app = typer.Typer(help="The models that come with nuclick-qp.", no_args_is_help=True)


@app.command("list")
def list_models(as_json: Annotated[bool, typer.Option("--json", help="Print the cards as one JSON array.")] = False) -> None:
    """List the models: name, kind of prompt, resolution, licence."""
    from nuclick_qp.model.cards import list_cards

    cards = list_cards()
    if as_json:
        print(json.dumps([card.model_dump(mode="json") for card in cards], indent=2, ensure_ascii=False))
        return
    for card in cards:
        print(f"{card.name}: {card.description}")
        print(f"  for {card.prompt}s, {card.mpp:g} um/px, patches of {card.patch_px} px, {card.parameters:,} parameters")
        print(f"  licence: {card.licence}")


@app.callback()
def group() -> None:
    """Keep `list` a command of its own: with one command only, Typer would drop its name."""
