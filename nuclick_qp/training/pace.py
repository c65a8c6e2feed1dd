"""How long a run goes on, and how many steps it has time for."""

import time
from dataclasses import dataclass

from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.state import TrainingState

STEPS_BETWEEN_LOOKS = 20
MOST_STEPS = 10_000_000  # of a run that does not know yet how many it has time for


@dataclass(slots=True)
class Pace:
    """The end of a run; one that fits into its time has its learning rate fall over as many steps as there will be.

    The first steps do not count, since kernels are chosen and compiled in them.

    Attributes
    ----------
    until
        When the run ends, in seconds of the monotonic clock; may be infinite.
    fit
        Whether the time decides how many steps there are.
    since, first
        When, and after which step, the counting began.
    """

    until: float
    fit: bool
    since: float | None = None
    first: int = 0

    def look(self, state: TrainingState) -> bool:
        """Tell after a step whether the time is over; the steps of a run that fits into it follow from how long those so far took."""
        now = time.monotonic()
        if self.fit and now > self.until:
            state.config = with_steps(state.config, state.step)
        elif self.fit and state.step % STEPS_BETWEEN_LOOKS == 0:
            if self.since is None:
                self.since, self.first = now, state.step
            else:
                seconds = (now - self.since) / (state.step - self.first)
                state.config = with_steps(state.config, state.step + round((self.until - now) / seconds))
        return now > self.until


def with_steps(config: TrainingConfig, steps: int = MOST_STEPS) -> TrainingConfig:
    """Give a configuration of another length; it is no other one, and takes up every checkpoint of its run."""
    return config.model_copy(update={"steps": steps})
