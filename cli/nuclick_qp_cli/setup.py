"""Options to predictors, and reports to the terminal: what the commands share."""

from nuclick_qp.errors import OptionError
from nuclick_qp.model.cards import default_model
from nuclick_qp.model.predictor import Predictor, Predictors
from nuclick_qp.prompts import PromptKind
from nuclick_qp.run.report import ImageReport, RunReport
from nuclick_qp_cli.run import DEFAULT_MODEL, NO_MODEL


def load_predictors(*, points: str, lines: str, device: str) -> tuple[Predictors, frozenset[PromptKind]]:
    """Load the models named for points and lines.

    Returns
    -------
    predictors
        By kind of prompt; a kind without a default model is not in it.
    left_out
        The kinds that the user set to ``none``.

    Raises
    ------
    OptionError
        If both are ``none``, or a model is named for a kind of prompt that it is not for.
    """
    named: dict[PromptKind, str] = {"point": points, "line": lines}
    left_out = frozenset(kind for kind, name in named.items() if name == NO_MODEL)
    if len(left_out) == len(named):
        raise OptionError("--points none and --lines none leave nothing to do; name a model for one of them")
    predictors: dict[PromptKind, Predictor] = {}
    for kind, name in named.items():
        model = default_model(kind) if name == DEFAULT_MODEL else name
        if kind in left_out or model is None:
            continue
        predictor = Predictor.load(model, device=device)
        if predictor.card.prompt != kind:
            raise OptionError(f"model {model!r} is for {predictor.card.prompt}s, not for {kind}s; see `nuclick-qp models list`")
        predictors[kind] = predictor
    return predictors, left_out


def print_report(report: RunReport, *, as_json: bool) -> None:
    """Print a report to stdout: as JSON, or as a few lines to read."""
    if as_json:
        print(report.model_dump_json(indent=2))
        return
    for image in report.images:
        print(_image_line(image))
        for prompt in image.without_outline:
            place = "" if prompt.x is None or prompt.y is None else f" at ({prompt.x:.1f}, {prompt.y:.1f})"
            print(f"  {prompt.status}: {prompt.kind}{place}: {prompt.detail}")
    for name in report.unknown_classes:
        print(f"no prompt has the class {name!r}; correct --classes")
    done = "would be written" if report.dry_run else "written"
    print(f"{report.ok} of {report.prompts} prompts {done} in {report.seconds:.1f} s ({report.device}, {report.precision})")


def _image_line(image: ImageReport) -> str:
    if image.error is not None:
        return f"{image.image}: failed: {image.error}"
    counts = ", ".join(f"{number} {status}" for status, number in image.statuses.items())
    replaced = f"; {image.removed} earlier results replaced" if image.removed else ""
    pruned = f"; {image.pruned} results whose prompt is gone removed" if image.pruned else ""
    orphaned = f"; {image.orphaned} results whose prompt is gone stay, --prune removes them" if image.orphaned else ""
    return f"{image.image}: {counts or 'no prompts'}{replaced}{pruned}{orphaned}"
