"""Tests of `nuclick_qp.serve.session`: a request gives what a run would write, or says which pixels it takes."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from shapely.geometry import shape

import nuclick_qp
from drawn_projects import DISCS, MakeProject, points_at, run_on
from fakes import DarkIsObject, make_card
from nuclick_qp.errors import ModelNotFoundError, OptionError, PromptError, UnreadableSlideError
from nuclick_qp.model.checkpoints import store_model
from nuclick_qp.model.network import NuClickNet
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.qupath.files_engine import open_files_project
from nuclick_qp.serve.schema import SegmentRequest
from nuclick_qp.serve.session import Session
from service_requests import click, make_request, region, whole

DrawDiscs = Callable[..., Path]
X, Y, RADIUS = DISCS[0]


@pytest.fixture
def image(draw_discs: DrawDiscs) -> NDArray[np.uint8]:
    """Give a picture of discs as an array."""
    return np.asarray(Image.open(draw_discs(DISCS)).convert("RGB"))


@pytest.fixture
def session(dark_predictor: Predictor) -> Iterator[Session]:
    """Give a session in which dark pixels are objects, for points and lines."""
    lines = Predictor(make_card(name="darkline", prompt="line"), DarkIsObject(), device="cpu", precision="float32")
    session = Session(device="cpu", ready={"point": dark_predictor, "line": lines})
    yield session
    session.close()


@pytest.mark.parametrize("encoding", ["png", "rgb"])
def test_a_request_gives_what_the_library_gives(
    session: Session, image: NDArray[np.uint8], dark_predictor: Predictor, encoding: str
) -> None:
    """The same features, of the same ids, from the same pixels."""
    centres = [(x, y) for x, y, _ in DISCS]
    expected = nuclick_qp.segment(image, centres, mpp=0.25, predictor=dark_predictor).to_geojson()

    answer = session.segment(make_request(image, *(click(x, y) for x, y in centres), pixels=[whole(image, encoding=encoding)]))

    assert [result.status for result in answer.results] == ["ok"] * len(DISCS)
    assert [result.feature for result in answer.results] == expected["features"]
    assert [result.metadata["nuclick:prompt"] for result in answer.results] == [result.key for result in answer.results]
    assert answer.wanted == []


def test_a_live_click_is_unchanged_for_a_run(
    session: Session, image: NDArray[np.uint8], dark_predictor: Predictor, make_project: MakeProject
) -> None:
    """Outline and metadata are those that a run writes, by which it knows what is done."""
    path = make_project(points_at((X, Y)))
    run_on(path, {"point": dark_predictor})
    with open_files_project(path) as project:
        [written] = project.read(project.images()[0]).results

    [result] = session.segment(make_request(image, click(X, Y, class_name="Tumor"), pixels=[whole(image)])).results

    assert result.feature is not None
    assert written.outline is not None
    assert written.outline.equals(shape(result.feature["geometry"]))
    assert result.probability == pytest.approx(written.probability)
    told = {"nuclick:prompt": written.key, "nuclick:model": written.model, "nuclick:options": written.options}
    assert told | {"nuclick:outline": written.written} == {k: v for k, v in result.metadata.items() if k != "nuclick:version"}


def test_a_request_without_pixels_is_told_which_it_takes(session: Session, image: NDArray[np.uint8]) -> None:
    """And those, and no others, are enough."""
    [wanted] = session.segment(make_request(image, click(X, Y))).wanted

    assert (wanted.level, wanted.downsample) == (0, 1.0)
    assert wanted.width < image.shape[1]
    cut = region(image, wanted.x, wanted.y, wanted.width, wanted.height)
    answer = session.segment(make_request(image, click(X, Y), pixels=[cut]))

    full = session.segment(make_request(image, click(X, Y), pixels=[whole(image)]))
    assert answer.results == full.results
    assert answer.results[0].status == "ok"


def test_a_region_that_is_one_pixel_short_is_not_enough(session: Session, image: NDArray[np.uint8]) -> None:
    """The pixels of a patch are all there, or they are asked for."""
    [wanted] = session.segment(make_request(image, click(X, Y))).wanted
    cut = region(image, wanted.x, wanted.y, wanted.width - 1, wanted.height)

    assert session.segment(make_request(image, click(X, Y), pixels=[cut])).wanted == [wanted]


def test_pixels_are_wanted_from_the_level_that_a_run_would_read(session: Session, image: NDArray[np.uint8]) -> None:
    """At 0.125 um/px a model for 0.25 um/px reads the level of half the size."""
    half = np.asarray(Image.fromarray(image).reduce(2))
    facts = {"levels": [[400, 300], [200, 150]], "mpp": 0.125}
    request = {"image": facts, "prompts": [click(X, Y)]}

    [wanted] = session.segment(SegmentRequest.model_validate(request)).wanted
    cut = region(half, wanted.x, wanted.y, wanted.width, wanted.height, level=1)
    [result] = session.segment(SegmentRequest.model_validate({**request, "pixels": [cut]})).results

    assert (wanted.level, wanted.downsample) == (1, 2.0)
    assert result.feature is not None
    assert shape(result.feature["geometry"]).centroid.distance(shape({"type": "Point", "coordinates": (X, Y)})) < 1


def test_a_squiggle_whose_object_is_cut_off_asks_for_more(session: Session, draw_discs: DrawDiscs) -> None:
    """The coarser patch is asked for when it is needed, and the squiggle is answered then."""
    image = np.asarray(Image.open(draw_discs([(200, 150, 60)])).convert("RGB"))  # wider than a patch of 64 px
    line = {"kind": "line", "strokes": [[[190, 150], [210, 150]]]}
    pixels: list[dict[str, Any]] = []
    sizes = []
    for _ in range(4):
        answer = session.segment(make_request(image, line, pixels=pixels))
        if not answer.wanted:
            break
        [wanted] = answer.wanted
        sizes.append(wanted.width)
        pixels.append(region(image, wanted.x, wanted.y, wanted.width, wanted.height))

    assert [result.status for result in answer.results] == ["ok"]
    assert len(sizes) > 1
    assert sizes == sorted(sizes)


def test_all_clicks_that_are_looked_at_again_ask_for_more_at_once(session: Session) -> None:
    """Ten pale places that lie far apart: one round more, however many they are."""
    wide = np.full((300, 6000, 3), (215, 170, 205), np.uint8)
    places = [(300 + 600 * number, 150) for number in range(10)]
    for x, y in places:
        wide[y - 9 : y + 9, x - 9 : x + 9] = (200, 140, 190)
    pixels: list[dict[str, Any]] = []
    for _ in range(3):
        answer = session.segment(make_request(wide, *(click(x, y) for x, y in places), pixels=pixels))
        pixels += [region(wide, wanted.x, wanted.y, wanted.width, wanted.height) for wanted in answer.wanted]

    assert [result.status for result in answer.results] == ["uncertain"] * 10
    assert all(result.feature is not None and result.detail for result in answer.results)


def test_every_prompt_without_an_outline_says_why(session: Session, image: NDArray[np.uint8]) -> None:
    """A click on nothing, one beside the image, and one twice at a place."""
    prompts = [click(5, 5), click(-10, 5), click(X, Y), click(X, Y)]

    results = session.segment(make_request(image, *prompts, pixels=[whole(image)])).results

    assert [result.status for result in results] == ["empty", "outside-slide", "ok", "duplicate"]
    assert all(bool(result.detail) == (result.status != "ok") for result in results)
    assert [result.feature is None for result in results] == [True, True, False, True]


def test_the_outline_of_a_standing_prompt_is_not_taken_again(session: Session, draw_discs: DrawDiscs) -> None:
    """What a context prompt has got stays its own."""
    image = np.asarray(Image.open(draw_discs([(100, 100, 10), (113, 100, 10)])).convert("RGB"))  # they touch
    first = session.segment(make_request(image, click(97, 100), pixels=[whole(image)])).results[0]
    standing = {"type": "Polygon", "coordinates": [[[85, 85], [106, 85], [106, 115], [85, 115], [85, 85]]]}

    request = make_request(
        image,
        click(116, 100),
        context=[click(97, 100)],
        standing=[{"key": first.key, "geometry": standing}],
        pixels=[whole(image)],
    )
    [result] = session.segment(request).results

    assert result.feature is not None
    assert shape(result.feature["geometry"]).intersection(shape(standing)).area < 1


def test_a_click_on_the_background_is_context(session: Session, image: NDArray[np.uint8]) -> None:
    """It gets no outline, so it is no prompt."""
    ignored = click(X + 1, Y, class_name="Ignore*")

    with pytest.raises(PromptError, match="send it as context"):
        session.segment(make_request(image, ignored, pixels=[whole(image)]))
    assert len(session.segment(make_request(image, click(X, Y), context=[ignored], pixels=[whole(image)])).results) == 1


def test_class_kind_and_plane_of_a_prompt_are_those_of_its_object(session: Session, image: NDArray[np.uint8]) -> None:
    """As in a run."""
    request = make_request(
        image, click(X, Y, class_name="Tumor: Positive", z=2), pixels=[whole(image)], options={"kind": "annotation"}
    )

    [result] = session.segment(request).results

    assert result.feature is not None
    assert result.feature["geometry"]["plane"] == {"c": -1, "z": 2, "t": 0}
    assert result.feature["properties"]["objectType"] == "annotation"
    assert result.feature["properties"]["classification"]["names"] == ["Tumor", "Positive"]


def test_a_model_is_named_not_a_path(session: Session, image: NDArray[np.uint8], tmp_path: Path) -> None:
    """A request reaches no file of this machine."""
    card = tmp_path / "other.json"
    card.write_text(make_card(name="other").model_dump_json())

    with pytest.raises(ModelNotFoundError, match=r"no model '.*other\.json'; choose one of dark, darkline"):
        session.segment(make_request(image, click(X, Y), points=str(card)))


def test_a_model_for_another_kind_of_prompt_is_refused(session: Session, image: NDArray[np.uint8]) -> None:
    """Its outlines would be nonsense."""
    with pytest.raises(OptionError, match="is for lines, not for points"):
        session.segment(make_request(image, click(X, Y), points="darkline"))


def test_a_model_that_is_new_is_there_at_once(image: NDArray[np.uint8], own_models: Path) -> None:
    """Trained, imported or replaced while the service runs: the next request has it."""
    session, small = Session(device="cpu"), NetworkSettings(width=0.07)
    try:
        with pytest.raises(ModelNotFoundError, match="there is no model 'mine'"):
            session.predictor("point", "mine")
        checksums = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            net = NuClickNet(small)
            own_models.mkdir(exist_ok=True)
            store_model(net, own_models / "mine.safetensors", lambda sha256: make_card(name="mine", network=small, sha256=sha256))

            assert "mine" in {model.name for model in session.models()}
            session.segment(make_request(image, click(X, Y), points="mine"))
            checksums.append(session.predictor("point", "mine").card.sha256)

        assert checksums[0] != checksums[1]
    finally:
        session.close()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"width": 10}, "picture has 400 x 300 px"),
        ({"x": 5}, "level has 400 x 300 px"),
        ({"level": 3}, "image has 1 levels"),
        ({"encoding": "rgb"}, "takes three for each pixel"),
        ({"encoding": "jpeg"}, "no whole JPEG picture"),
        ({"data": base64.b64encode(b"\x89PNG nothing")}, "no whole PNG picture"),
    ],
)
def test_pixels_that_are_not_what_they_say_are_refused(
    session: Session, image: NDArray[np.uint8], changes: dict[str, Any], reason: str
) -> None:
    """With what is wrong with them."""
    with pytest.raises(UnreadableSlideError, match=reason):
        session.segment(make_request(image, click(X, Y), pixels=[whole(image) | changes]))


def test_a_picture_is_measured_before_it_is_decoded(session: Session, image: NDArray[np.uint8]) -> None:
    """A PNG of some bytes may claim 50,000 x 50,000 pixels."""
    header = base64.b64decode(whole(image)["data"])
    bomb = header[:16] + (50_000).to_bytes(4, "big") * 2 + header[24:]
    claimed = {"level": 0, "x": 0, "y": 0, "width": 50_000, "height": 50_000, "data": base64.b64encode(bomb)}
    facts = {"levels": [[50_000, 50_000]], "mpp": 0.25}

    with pytest.raises(UnreadableSlideError, match="more than 67108864 pixels"):
        session.segment(SegmentRequest.model_validate({"image": facts, "prompts": [click(X, Y)], "pixels": [claimed]}))


@pytest.mark.parametrize(
    "geometry", [{}, {"type": "Point", "coordinates": [1, 2]}, {"type": "Polygon", "coordinates": [[[0, 0], ["a", 1]]]}]
)
def test_an_outline_that_is_none_is_refused(session: Session, image: NDArray[np.uint8], geometry: dict[str, Any]) -> None:
    """One line says whose."""
    with pytest.raises(PromptError, match="outline of prompt abc"):
        session.segment(make_request(image, click(X, Y), standing=[{"key": "abc", "geometry": geometry}]))


def test_a_request_for_the_whole_slide_is_refused_before_its_pixels_are_asked_for(session: Session) -> None:
    """Prompts all over a large slide belong into several requests."""
    prompts = [click(x, y) for x in range(1000, 60_000, 2000) for y in range(1000, 60_000, 2000)]
    facts = {"levels": [[60_000, 60_000]], "mpp": 0.05}  # a patch has 320 px

    with pytest.raises(UnreadableSlideError, match="ask for fewer at once"):
        session.segment(SegmentRequest.model_validate({"image": facts, "prompts": prompts}))
