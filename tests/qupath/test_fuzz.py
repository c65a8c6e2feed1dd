"""A short run of `fuzz_data_file.py`, which does the long one."""

import random

from fuzz_data_file import fuzz, mutate, seeds, try_stream


def test_mutated_files_are_read_right_or_refused_with_an_error_of_ours() -> None:
    """Whoever made the file: no other exception, nothing added to what is not understood."""
    tally = fuzz(1500)

    assert tally.unexpected == []
    assert tally.ends.keys() == {"refused", "read", "written"}  # or the mutations miss a part of the reader


def test_files_that_nothing_happened_to_are_read_and_written() -> None:
    """Else the refusals of the other test would say nothing."""
    assert {try_stream(data) for data in seeds()} == {"written"}


def test_a_stream_can_be_made_again_from_its_number() -> None:
    """A failure is of use only if it can be looked at."""
    first, again = (mutate(seeds()[0], seeds(), random.Random("0 7")) for _ in range(2))

    assert first == again != seeds()[0]
