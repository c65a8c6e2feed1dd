"""Work on images that goes wrong in a worker: sent to its process in place of the real one."""

import os
import signal

from nuclick_qp.cluster.image_task import ImageAnswer, ImageTask, work_on_image

DEADLY = "image 1"


def die_of_image_1(task: ImageTask) -> ImageAnswer:
    """End the process of the worker as the system does when memory is full, for one image of each project."""
    if task.entry.name == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    return work_on_image(task)
