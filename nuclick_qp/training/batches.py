"""The batches of a run, in order: made where the network trains on a GPU, else by processes beside it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch.utils.data import DataLoader, Dataset

from nuclick_qp.stopping import ignore_stops
from nuclick_qp.training.augment import augment_colours
from nuclick_qp.training.config import Augmentation, TrainingConfig
from nuclick_qp.training.flat_images import FlatImages, flatten_images
from nuclick_qp.training.images import LabelledImage
from nuclick_qp.training.lesson import Lesson, NuClickLesson
from nuclick_qp.training.patches import Batch, draw_batch
from nuclick_qp.training.rings import draw_rings


@dataclass(frozen=True)
class BatchMaker(Dataset[Batch]):
    """Batch number k of a run; the same whenever it is made, and on a CPU wherever.

    Attributes
    ----------
    images
        On the device that the batches are made on.
    seed
        Batch k depends on it and on k alone.
    augment
        Whether colours are changed; validation sees them as they are.
    lesson
        What the network is shown of them.
    """

    images: FlatImages
    config: TrainingConfig
    seed: int
    augment: bool
    lesson: Lesson

    @classmethod
    def of(
        cls,
        images: Sequence[LabelledImage],
        config: TrainingConfig,
        device: torch.device,
        *,
        seed: int,
        augment: bool,
        lesson: Lesson | None = None,
    ) -> "BatchMaker":
        """Give the maker for a network on a device: there if it is CUDA, else on the CPU."""
        place = device if device.type == "cuda" else torch.device("cpu")
        return cls(flatten_images(images, config).to(place), config, seed, augment, lesson or NuClickLesson.of(config))

    def __getitem__(self, step: int) -> Batch:
        """Make batch number `step`."""
        generator = torch.Generator(self.images.device).manual_seed(self.seed * 1_000_000_007 + step)
        batch = draw_batch(self.images, self.config, generator, fill=self.lesson.fill)
        if self.augment:
            batch = _augmented(batch, self.config.augmentation, generator)
        return self.lesson.prepare(batch, generator)


def in_order(maker: BatchMaker, steps: range, *, workers: int) -> Iterator[Batch]:
    """Give the batches of some steps, made ahead by `workers` processes; a GPU makes its own between two steps."""
    if maker.images.device.type != "cpu":
        workers = 0
    loader = DataLoader(
        maker,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=ignore_stops,
        collate_fn=_as_is,  # type: ignore[arg-type]  # with batch_size=None it gets a sample, not a list
    )
    yield from loader


def _augmented(batch: Batch, settings: Augmentation, generator: torch.Generator) -> Batch:
    colours, signals = batch.inputs[:, :3], batch.inputs[:, 3:]
    if settings.rings:
        colours = draw_rings(colours, batch.wanted + batch.others, settings.rings, generator)
    return replace(batch, inputs=torch.cat([augment_colours(colours, settings, generator), signals], dim=1))


def _as_is(batch: Batch) -> Batch:
    return batch
