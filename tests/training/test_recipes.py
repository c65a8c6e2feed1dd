"""The shipped models and the recipes that make them."""

import pytest

from nuclick_qp.model.cards import Card, list_cards
from nuclick_qp.training.config import TrainingConfig, read_config
from training.make_model import CONFIGS, RECIPES


def test_every_recipe_reads_and_makes_its_model() -> None:
    """Each part is a configuration of the recipe's model; the parts agree on the network."""
    for name, recipe in RECIPES.items():
        parts = [read_config(CONFIGS / f"{part}.toml") for part in recipe.parts]

        assert {part.name for part in parts} == {name}
        assert len({(part.prompt, part.width, part.ms_blocks) for part in parts}) == 1


@pytest.mark.parametrize("card", list_cards(), ids=lambda card: card.name)
def test_shipped_models_come_from_configurations_in_the_repository(card: Card) -> None:
    """A card holds the configuration of the last part of its recipe."""
    last = read_config(CONFIGS / f"{RECIPES[card.name].parts[-1]}.toml")

    assert TrainingConfig.model_validate(card.training["config"]) == last
