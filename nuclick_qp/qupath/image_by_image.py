"""Work on the images of a project one by one: one that fails stops no other."""

import logging
from collections.abc import Callable
from typing import TypeVar

from nuclick_qp.errors import NuClickError

logger = logging.getLogger(__name__)

T = TypeVar("T")


def work_or_error(work: Callable[[], T], *, image_name: str) -> T | Exception:
    """Do the work of one image, and give the error that ended it, where one did; one that is no error of ours is logged.

    The only place that catches every error: the other images of a project are still to be done.
    """
    try:
        return work()
    except NuClickError as err:
        logger.info("%s: %s", image_name, err)  # the report tells it
        return err
    except Exception as err:
        logger.exception("%s failed", image_name)
        return err
