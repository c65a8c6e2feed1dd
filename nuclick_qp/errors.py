"""What can go wrong, as one tree.

NuClickError
├── ProjectError                     a QuPath project, or one of its files
│   ├── ProjectNotFoundError         (also FileNotFoundError)
│   ├── UnreadableProjectError       not JSON, not a project, no images, unknown version
│   ├── UnreadableDataError          data.qpdata truncated, foreign, of an unknown version
│   └── EngineUnavailableError       the `qupath` engine was asked for and no QuPath is there
├── SlideError                       the pixels
│   ├── SlideNotFoundError           (also FileNotFoundError)
│   ├── UnreadableSlideError
│   ├── SlideSizeMismatchError       the file is not the image that the project describes
│   ├── FluorescenceError            not what the models are for
│   └── NoPixelSizeError
├── PromptError                      points or lines that cannot be used (NaN, broken GeoJSON)
├── ModelError
│   ├── ModelNotFoundError           (also FileNotFoundError)
│   ├── WeightsError                 checksum or tensor shapes differ from the card
│   └── DeviceError                  a device that this machine does not have
├── LabelsError                      an image and its label image that cannot be read as a pair
├── TrainingDataError                images, regions or logs that cannot be learned from
├── RowError                         a kept row of the paper's tables that cannot be read
├── WriteRefusedError                writing would risk the user's objects, or the disk refuses
├── ServiceError                     a running service that cannot be reached
├── ClusterError                     a scheduler that cannot be reached, or workers that cannot be used
└── OptionError                      options that contradict one another (also ValueError)

Every message says what is wrong, in which file, and what to do about it, in one line.
"""


class NuClickError(Exception):
    """Base of all errors that nuclick-qp raises on purpose."""


class ProjectError(NuClickError):
    """A QuPath project cannot be used."""


class ProjectNotFoundError(ProjectError, FileNotFoundError):
    """There is no project at the path given."""


class UnreadableProjectError(ProjectError):
    """`project.qpproj` is not what QuPath writes."""


class UnreadableDataError(ProjectError):
    """`data.qpdata` is truncated, foreign, or of a version that is not known."""


class EngineUnavailableError(ProjectError):
    """The engine asked for cannot run here."""


class SlideError(NuClickError):
    """The pixels of an image cannot be used."""


class SlideNotFoundError(SlideError, FileNotFoundError):
    """The image file of a project entry is not where the project says."""


class UnreadableSlideError(SlideError):
    """No reader understands the image file."""


class SlideSizeMismatchError(SlideError):
    """Width or height of the file differ from those in the project."""


class FluorescenceError(SlideError):
    """The image is, or looks like, fluorescence."""


class NoPixelSizeError(SlideError):
    """Neither project nor file say how large a pixel is."""


class PromptError(NuClickError):
    """A point or line cannot serve as a prompt."""


class ModelError(NuClickError):
    """A model cannot be used."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """No model has this name."""


class WeightsError(ModelError):
    """The weights do not match their card."""


class DeviceError(ModelError):
    """The device asked for is not there."""


class LabelsError(NuClickError):
    """An image and its label image cannot be read as a pair."""


class TrainingDataError(NuClickError):
    """Images, regions or logs cannot be learned from."""


class RowError(NuClickError):
    """A row of the paper's tables that was kept cannot be read."""


class WriteRefusedError(NuClickError):
    """Writing was refused or failed; the files are as they were."""


class ServiceError(NuClickError):
    """A service runs and cannot be reached."""


class ClusterError(NuClickError):
    """A scheduler cannot be reached, or its workers cannot be used."""


class OptionError(NuClickError, ValueError):
    """Options that contradict one another."""
