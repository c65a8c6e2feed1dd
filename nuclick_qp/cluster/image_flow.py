"""Images to workers, answers back: as many at once as keep the workers busy, and again where a worker has died."""

import logging
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from distributed import Client, Future, KilledWorker

from nuclick_qp.cluster.batch_course import BatchProgress, Course
from nuclick_qp.cluster.image_task import ImageAnswer, ImageTask, stop_batch, work_on_image
from nuclick_qp.errors import ClusterError, NuClickError
from nuclick_qp.run.image_work import ImageJob

logger = logging.getLogger(__name__)

TASKS_PER_THREAD = 2  # of the workers: one at work, one that waits for its end; more would only fill the memory with answers
TICK_S = 0.5
GATHER_S = 60.0  # for one answer to travel; it may be lost on its way, and is then made again
LOST = "the scheduler is gone; what is finished is written, run the same batch again to go on"


@dataclass(frozen=True, slots=True)
class SentImage:
    """An image, with how often all its workers have died, and how often somebody changed it before its answer came."""

    job: ImageJob
    task: ImageTask
    deaths: int = 0
    changes: int = 0


class ImageFlow:
    """Sends images to the workers of a scheduler, and hands over what comes back.

    Parameters
    ----------
    batch
        Its name, see `ImageTask`.
    images
        Asked for the next image when workers have room for it.
    finish
        Called in this thread with each image and its answer: the one writer. False sends the image once more.
    """

    def __init__(
        self,
        client: Client,
        batch: str,
        images: Iterator[SentImage],
        finish: Callable[[SentImage, ImageAnswer], bool],
        *,
        course: Course,
        progress: BatchProgress,
    ) -> None:
        self._client, self._batch, self._images, self._finish = client, batch, images, finish
        self._course, self._progress = course, progress
        self._again: deque[SentImage] = deque()
        self._alone: deque[SentImage] = deque()  # whose workers have died: perhaps of another image that was there, too
        self._sent: dict[str, tuple[Future[ImageAnswer], SentImage]] = {}
        self._answered: queue.SimpleQueue[Future[ImageAnswer]] = queue.SimpleQueue()
        self._live: dict[str, int] = {}  # prompts that are finished, of images that are not
        self._prompts_done, self._looked_at, self._has_left_off = 0, 0.0, False

    def run(self) -> None:
        """Work on all images, or until a stop: then take what the workers have done by then.

        Raises
        ------
        ClusterError
            If the scheduler goes away, or a worker cannot do its work.
        ModelError
            If a worker cannot load a model.
        """
        handlers = {self._batch: self._note_prompts, "all": self._note_loss}
        for topic, handler in handlers.items():
            self._client.subscribe_topic(topic, handler)
        try:
            self._look_at_workers()
            while self._send_more() or self._sent:
                self._take_answer()
                self._look_at_workers()
                self._course.prompts_done = self._prompts_done + sum(list(self._live.values()))
                self._progress.show(self._course)
        except NuClickError:
            self._leave_off()
            raise
        finally:
            for topic in handlers if self._client.status == "running" else ():
                self._client.unsubscribe_topic(topic)

    def _send_more(self) -> bool:
        """Send as many images as the workers have room for; tell whether any was sent."""
        if self._progress.stopped():
            self._leave_off()
            return False
        room = max(1, TASKS_PER_THREAD * self._course.threads) - len(self._sent)
        more = [self._again.popleft() for _ in range(min(room, len(self._again)))]
        more += islice(self._images, max(0, room - len(more)))
        if not (more or self._sent) and self._alone:
            more = [self._alone.popleft()]
        for image in more:
            with _connected():
                future = self._client.submit(work_on_image, image.task, key=image.task.key, pure=False)
            self._sent[image.task.key] = future, image
            future.add_done_callback(self._answered.put)
        return bool(more)

    def _take_answer(self) -> None:
        """Wait a moment for the next answer, and hand it over."""
        try:
            future = self._answered.get(timeout=TICK_S)
        except queue.Empty:
            return
        if future.key not in self._sent:  # given up
            return
        _, image = self._sent[future.key]
        try:
            answer = self._answer_of(future, image)
        except TimeoutError:  # lost, and made again
            future.add_done_callback(self._answered.put)
            return
        del self._sent[future.key]
        self._live.pop(future.key, None)
        if answer is None:
            return
        if not self._finish(image, answer):
            self._course.repeated += 1
            self._again.append(replace(image, task=_renewed(image.task), changes=image.changes + 1))
            return
        self._prompts_done += 0 if answer.found is None else len(answer.found.outlines)
        self._course.images_done += 1

    def _answer_of(self, future: "Future[ImageAnswer]", image: SentImage) -> ImageAnswer | None:
        """Give what became of an image; None if it goes again."""
        if future.status != "error":
            return _gathered(future)
        err = future.exception()
        if isinstance(err, NuClickError):
            raise err
        if not isinstance(err, KilledWorker):
            raise ClusterError(f"a worker could not do its work ({err!r}); install the same packages everywhere") from err
        if image.deaths:
            last = err.last_worker.address
            return ImageAnswer(0.0, error=f"the worker at {last} died of it, as others before: too little memory, or a damaged file")
        self._alone.append(replace(image, task=_renewed(image.task), deaths=1))
        return None

    def _look_at_workers(self) -> None:
        """Count the workers, now and then."""
        if time.monotonic() - self._looked_at < TICK_S:
            return
        with _connected():
            threads = self._client.nthreads()
        self._course.workers_seen |= set(threads)
        self._course.workers, self._course.threads = len(threads), sum(threads.values())
        self._looked_at = time.monotonic()

    def _note_prompts(self, event: tuple[float, dict[str, Any]]) -> None:
        """Take what a worker tells of an image, in the thread of the client."""
        if event[1]["key"] in self._sent:
            self._live[event[1]["key"]] = event[1]["done"]

    def _note_loss(self, event: tuple[float, dict[str, Any]]) -> None:
        """Take what the scheduler tells of its workers, in the thread of the client."""
        told = event[1]
        if told["action"] != "remove-worker" or told["expected"]:
            return
        mine = [key for key in (*told["processing-tasks"], *told["lost-computed-tasks"]) if key in self._sent]
        self._course.workers_lost += 1
        self._course.repeated += len(mine)
        for key in mine:
            self._live.pop(key, None)
        logger.warning("the worker at %s has died; %d image(s) that it had go to others", told["worker"], len(mine))

    def _leave_off(self) -> None:
        """Let the workers give back what they have finished of their images, and forget the images that no worker has."""
        if self._has_left_off or self._client.status != "running":
            return
        self._has_left_off = True
        with _connected():
            self._client.run(stop_batch, self._batch, on_error="ignore")
            taken = {key for keys in self._client.processing().values() for key in keys}
        for key, (future, _) in list(self._sent.items()):
            if key not in taken and future.status == "pending":
                del self._sent[key]


def _renewed(task: ImageTask) -> ImageTask:
    """Give a task that is sent once more, under another key."""
    return replace(task, key=f"{task.key}-again")


def _gathered(future: "Future[ImageAnswer]") -> ImageAnswer:
    """Fetch an answer from its worker.

    Raises
    ------
    TimeoutError
        If it does not come: its worker may have died just now, and another is making it again.
    """
    try:
        return future.result(timeout=GATHER_S)
    except TimeoutError:
        raise
    except (OSError, CancelledError) as err:
        raise ClusterError(LOST) from err


@contextmanager
def _connected() -> Iterator[None]:
    """Say in our words that the scheduler is gone."""
    try:
        yield
    except (OSError, CancelledError) as err:
        raise ClusterError(LOST) from err
