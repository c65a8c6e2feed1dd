"""NuClick for QuPath: outlines of nuclei, cells and glands from one click or squiggle each."""

__version__ = "0.1.0"
