"""In which order methods come out, ours and the paper's, said as it is found."""

from collections.abc import Sequence
from itertools import pairwise

from nuclick_qp.evaluation.tables.paper_figures import TITLES, paper_figure
from nuclick_qp.evaluation.tables.row_places import paper_row
from nuclick_qp.evaluation.tables.rows import RowKey
from nuclick_qp.evaluation.tables.table_lines import Block, Line, difference


def order_of(block: Block, leading: str) -> list[str]:
    """Say the order of a block's methods by one figure that is better the greater it is, and who is above the reference.

    Parameters
    ----------
    leading
        The figure, by its name in `Scores`.

    Returns
    -------
    list of str
        Sentences; none for a block that has no order.
    """
    if not block.is_ordered:
        return []
    firsts = _first_of_each_key(block.lines)
    said = [f"By {TITLES[leading]}, ours: {_ours(firsts, leading)}.", *_papers(block.lines, leading)]
    return [*said, *_against_reference(block, firsts, leading)]


def _first_of_each_key(lines: Sequence[Line]) -> list[Line]:
    """Keep the rows that are made, of several with one key the first."""
    made: dict[RowKey, Line] = {}
    for line in lines:
        if line.row is not None:
            made.setdefault(line.key, line)
    return list(made.values())


def _ours(lines: Sequence[Line], metric: str) -> str:
    """Join the names by falling mean, with a sign between two neighbours."""
    if not lines:
        return "no row is made yet"
    ranked = sorted(lines, key=lambda line: -_mean(line, metric))
    text = ranked[0].key.label
    for upper, lower in pairwise(ranked):
        text += f" {_sign(upper, lower, metric)} {lower.key.label}"
    return text


def _sign(upper: Line, lower: Line, metric: str) -> str:
    """Give > where the difference on the same images is more than chance, ~ where it is not, ? where the images are others."""
    if not _share_images(upper, lower):
        return "?"
    return ">" if _is_above(upper, lower, metric) else "~"


def _papers(lines: Sequence[Line], metric: str) -> list[str]:
    """Say the order of the paper's figures; it states no spread, so equal figures alone are alike."""
    figures = {row.name: value for line in lines if (row := paper_row(line.key)) and (value := paper_figure(row, metric)) is not None}
    ranked = sorted(figures.items(), key=lambda item: -item[1])
    if len(ranked) < 2:
        return []
    text = ranked[0][0]
    for (_, upper), (name, lower) in pairwise(ranked):
        text += f" {'>' if upper > lower else '='} {name}"
    return [f"Paper: {text}."]


def _against_reference(block: Block, lines: Sequence[Line], metric: str) -> list[str]:
    """Say which methods are above, below and level with the row that all are compared with."""
    found = next((line for line in lines if line.key == block.reference), None)
    if found is None:
        return []
    above: list[str] = []
    below: list[str] = []
    level: list[str] = []
    for line in lines:
        if line is not found and _share_images(line, found):
            place = above if _is_above(line, found, metric) else below if _is_above(found, line, metric) else level
            place.append(line.key.label)
    told = (("Above", above), ("Level with", level), ("Below", below))
    return [f"{word} *{found.key.label}*: {'; '.join(names)}." for word, names in told if names]


def _is_above(line: Line, other: Line, metric: str) -> bool:
    """Tell whether one is better than another by more than chance."""
    if line.row is None or other.row is None:
        return False
    found = difference(line.row, other.row, metric)
    return found.mean > 0 and found.excludes_zero


def _share_images(line: Line, other: Line) -> bool:
    """Tell whether two rows were measured on the same images; others cannot be compared."""
    return line.row is not None and other.row is not None and line.row.scores.keys() == other.row.scores.keys()


def _mean(line: Line, metric: str) -> float:
    value = line.cells[metric].value
    assert value is not None  # lines here are made
    return value.mean
