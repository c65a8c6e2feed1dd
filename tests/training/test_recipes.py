"""The shipped models and the recipes that make them."""

from pathlib import Path

import pytest

from fakes import make_card
from nuclick_qp.model.cards import Card, leave_out_replaced, list_cards, read_card
from nuclick_qp.training.config import TrainingConfig, read_config
from training.make_model import CONFIGS, RECIPES, install


def test_every_recipe_reads_and_makes_its_model() -> None:
    """Each part is a configuration of the recipe's model; the parts agree on the network."""
    for name, recipe in RECIPES.items():
        parts = [read_config(CONFIGS / f"{part}.toml") for part in recipe.parts]

        assert {part.name for part in parts} == {name}
        assert len({(part.prompt, part.width, part.ms_blocks) for part in parts}) == 1


@pytest.mark.parametrize("card", leave_out_replaced(list_cards()), ids=lambda card: card.name)
def test_shipped_models_come_from_configurations_in_the_repository(card: Card) -> None:
    """A card holds the configuration of the last part of its recipe."""
    last = read_config(CONFIGS / f"{RECIPES[card.name].parts[-1]}.toml")

    assert TrainingConfig.model_validate(card.training["config"]) == last


def test_a_new_model_keeps_the_one_before_as_a_version(tmp_path: Path) -> None:
    """Results of last year can be made again: the chain of cards leads to the weights that made them."""
    package, trained = tmp_path / "package", tmp_path / "trained"
    for folder in (package, trained):
        folder.mkdir()
    for digit in "abbc":  # the same weights again are no new version
        (trained / "nuclei.json").write_text(make_card(name="nuclei", sha256=digit * 64).model_dump_json())
        (trained / "nuclei.safetensors").write_text(f"weights {digit}")
        install("nuclei", trained, package)

    chain = [read_card(package / "nuclei.json")]
    while chain[-1].previous:
        chain.append(read_card(package / f"{chain[-1].previous}.json"))
    assert [(card.name, card.sha256[0]) for card in chain] == [("nuclei", "c"), ("nuclei-v2", "b"), ("nuclei-v1", "a")]
    assert [(package / f"{card.name}.safetensors").read_text()[-1] for card in chain] == ["c", "b", "a"]
