"""One row of our tables: what it was made with, and what came out; kept in a file of its own, so that a stopped command goes on.

A row is known by its *settings*. The same settings give the same file, and a row that lies there is not made again. A row
with other settings (another seed, another budget, another test image) lies beside it, and takes nothing's place.
"""

import hashlib
import json
import math
import re
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from nuclick_qp.errors import RowError, WriteRefusedError
from nuclick_qp.evaluation.metrics import Scores
from nuclick_qp.evaluation.tables.table_options import FIRST, LAST, BudgetName
from nuclick_qp.storage.atomic import make_folder, write_atomically, write_refusal
from nuclick_qp.storage.plain_files import LARGEST_SMALL_FILE, is_folder, is_there, read_file

FINGERPRINT_DIGITS = 12
COMMIT_DIGITS = 10
# As they are printed; others are printed as they are.
VARIANTS = {"paper": "paper's settings", "fair": "fair settings", "squiggle": "fair settings, squiggle as well"}
MASKS_BY = ", masks by NuClick ("  # in the name of what was learned from: before it the images, behind it who drew their masks


@dataclass(frozen=True, slots=True)
class RowKey:
    """Which row of which table, whatever it was made with.

    Attributes
    ----------
    data
        Set that it is measured on.
    variant
        Which settings a method has, where it has several: ``paper``, ``fair`` or ``squiggle`` for those without a network.
    """

    table: int
    name: str
    data: str
    variant: str | None = None

    @property
    def label(self) -> str:
        """Name and variant, as they are printed."""
        return self.name if self.variant is None else f"{self.name} ({VARIANTS.get(self.variant, self.variant)})"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RowSettings(_Frozen):
    """What decides what a row says, as far as it can be named before the row is made.

    Pixels and labels of the images, and the code, are not in it: where those change, rows go to a new folder.

    Attributes
    ----------
    table, name, data, variant
        As of `RowKey`.
    training
        Set that it learned from, or that its settings were chosen on; empty where there is none.
    images
        Names of the images that it is measured on.
    samples
        Patches that training shows the network, each as often as it is shown; 0 where nothing is trained.
    batch
        Patches in a training step; 0 likewise.
    width
        Factor on the channel counts of the published network; None without one.
    mpp
        Micrometres per pixel of the image in which figures in pixels are measured; None if unknown or mixed.
    more
        All other settings by name: configuration of the training, options of a method.
    """

    table: int = Field(ge=FIRST, le=LAST)
    name: str = Field(min_length=1)
    data: str = Field(min_length=1)
    variant: str | None = None
    training: str = ""
    images: tuple[str, ...] = Field(min_length=1)
    samples: int = Field(default=0, ge=0)
    batch: int = Field(default=0, ge=0)
    width: float | None = None
    mpp: float | None = None
    seed: int
    budget: BudgetName
    more: dict[str, str | bool | int | float | None] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _images_differ(self) -> Self:
        if len(set(self.images)) < len(self.images):
            raise ValueError("two images have one name")
        return self

    @property
    def key(self) -> RowKey:
        """Which row it is."""
        return RowKey(self.table, self.name, self.data, self.variant)

    @property
    def fingerprint(self) -> str:
        """Hash of all settings, in 12 hex digits; their order means nothing, and a field that is added later, with a default, neither."""
        said = json.dumps(self.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:FINGERPRINT_DIGITS]


class Row(_Frozen):
    """A row that is made.

    Attributes
    ----------
    scores
        Of each image, by its name.
    device
        What it was made on. It is no setting: a row that a GPU made stands for one that a CPU would make.
    train_seconds, segment_seconds
        What training and what all test images took; trainings that serve several rows count in each.
    commit
        Of this software.
    made_at
        When it was finished. Of two rows with one key, seed and budget the pages show the later.
    curve
        The log.csv of its training, relative to the folder of the tables; None where nothing was trained.
    chosen
        The settings that were chosen on training images; empty where none were.
    """

    settings: RowSettings
    scores: dict[str, Scores]
    device: str
    train_seconds: float = Field(default=0.0, ge=0)
    segment_seconds: float = Field(ge=0)
    commit: str
    made_at: AwareDatetime
    curve: str | None = None
    chosen: str = ""

    @model_validator(mode="after")
    def _each_image_has_its_scores(self) -> Self:
        if set(self.scores) != set(self.settings.images):
            raise ValueError("there must be scores for the images of its settings, and for no others")
        if not all(math.isfinite(value) for one in self.scores.values() for value in one.model_dump().values()):
            raise ValueError("a score is not finite")
        return self

    @property
    def key(self) -> RowKey:
        """Which row it is."""
        return self.settings.key

    @property
    def short_commit(self) -> str:
        """Ten hex digits, with the + of a source tree that had changes."""
        return self.commit if len(self.commit) <= COMMIT_DIGITS else self.commit[:COMMIT_DIGITS] + self.commit[-1:].strip(string.hexdigits)

    def values(self, metric: str) -> list[float]:
        """Give a figure of each image, in the order of `RowSettings.images`."""
        return [getattr(self.scores[image], metric) for image in self.settings.images]


@dataclass(frozen=True, slots=True)
class RowStore:
    """Rows in a folder: ``OUT/rows/table-2-monuseg-nuclick-0123456789ab.json`` and others.

    Attributes
    ----------
    out
        Folder of the tables.
    """

    out: Path

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return self.out / "rows"

    def path_of(self, settings: RowSettings) -> Path:
        """Give the place of the row with these settings."""
        words = (f"table {settings.table}", settings.data, settings.name, settings.variant or "")
        slug = re.sub("[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")[:80]
        return self.folder / f"{slug}-{settings.fingerprint}.json"

    def find(self, settings: RowSettings) -> Row | None:
        """Give the row with these settings; None if it is not made yet.

        Raises
        ------
        RowError
            If its file is damaged, or holds a row with other settings.
        """
        path = self.path_of(settings)
        if not is_there(path):
            return None
        row = _read(path)
        if row.settings.fingerprint != settings.fingerprint:
            raise RowError(f"{path} holds a row with other settings; remove it, and the same command makes it anew")
        return row

    def keep(self, row: Row) -> Path:
        """Write a row where `find` looks for it, whole or not at all.

        Raises
        ------
        WriteRefusedError
            If the folder cannot hold it.
        """
        make_folder(self.folder, option="--out")
        path = self.path_of(row.settings)
        try:
            write_atomically(path, (row.model_dump_json(indent=1) + "\n").encode())
        except OSError as err:
            raise WriteRefusedError(write_refusal(path, err)) from err
        return path

    def rows(self) -> list[Row]:
        """Give all rows, by table and name of their file.

        Raises
        ------
        RowError
            If one of the files is damaged.
        """
        paths = sorted(self.folder.glob("table-*.json")) if is_folder(self.folder) else []
        return [_read(path) for path in paths]


def _read(path: Path) -> Row:
    try:
        return Row.model_validate_json(read_file(path, most=LARGEST_SMALL_FILE))
    except OSError as err:
        raise RowError(f"{path} cannot be read ({err.strerror}); mend that, or remove it, and the same command makes it anew") from err
    except ValidationError as err:
        problem = err.errors()[0]
        place = ".".join(map(str, problem["loc"])) or "the file"
        raise RowError(f"{path} is damaged ({place}: {problem['msg']}); remove it, and the same command makes it anew") from err
