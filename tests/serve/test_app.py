"""Tests of `nuclick_qp.serve.app` and its guard: who is let in, and what a bad request is told."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

from drawn_projects import DISCS
from nuclick_qp import __version__
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.serve import security
from nuclick_qp.serve.app import Activity, make_app
from nuclick_qp.serve.session import Session
from service_requests import click, whole

TOKEN = "a-token-of-the-tests"
SENDS_TOKEN = {"Authorization": f"Bearer {TOKEN}"}
X, Y, _ = DISCS[0]


@pytest.fixture
def session(dark_predictor: Predictor) -> Session:
    """Give a session in which dark pixels are objects."""
    return Session(device="cpu", ready={"point": dark_predictor})


@pytest.fixture
def client(session: Session) -> Iterator[TestClient]:
    """Give a client of the service that sends the right token."""
    with TestClient(make_app(session, token=TOKEN), base_url="http://127.0.0.1:8000", headers=SENDS_TOKEN) as client:
        yield client


@pytest.fixture
def body(draw_discs: Callable[..., Path]) -> dict[str, Any]:
    """Give a request for one click."""
    image: NDArray[np.uint8] = np.asarray(Image.open(draw_discs(DISCS)).convert("RGB"))
    return {"image": {"levels": [[400, 300]], "mpp": 0.25}, "prompts": [click(X, Y)], "pixels": [whole(image)]}


def test_a_click_is_answered_with_its_outline(client: TestClient, body: dict[str, Any]) -> None:
    """As a GeoJSON feature."""
    answer = client.post("/segment", json=body)

    assert answer.status_code == 200
    [result] = answer.json()["results"]
    assert (result["status"], result["feature"]["type"]) == ("ok", "Feature")


def test_health_needs_no_token_and_tells_none(client: TestClient) -> None:
    """Version, process, device and models."""
    answer = client.get("/health", headers={"Authorization": ""})

    assert answer.json().keys() == {"version", "pid", "device", "models", "busy", "jobs"}
    assert answer.json()["version"] == __version__
    assert answer.json()["models"] == ["dark"]


def test_models_say_how_much_of_the_slide_they_see(client: TestClient) -> None:
    """From which a client knows which pixels a click takes."""
    [model] = client.get("/models").json()

    assert (model["name"], model["mpp"], model["patch_px"], model["is_default"]) == ("dark", 0.25, 64, True)


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xe9"]
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/models"), ("POST", "/segment"), ("GET", "/openapi.json"), ("GET", "/nothing")])
def test_a_wrong_token_opens_nothing(client: TestClient, header: str, method: str, path: str) -> None:
    """Not even what is not there."""
    answer = client.request(method, path, headers={b"Authorization": header.encode("latin-1")})

    assert answer.status_code == 401
    assert "token" in answer.json()["detail"]


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Host": "127.0.0.1.evil.example:80"}, {"Host": ""}, {"Origin": "http://127.0.0.1"}])
def test_web_pages_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    """Even with the right token, even for health."""
    for path in ("/health", "/models"):
        assert client.get(path, headers=headers).status_code == 403


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
def test_this_machine_may_be_called_by_its_names(client: TestClient, host: str) -> None:
    """With and without a port: a tunnel has another one."""
    assert client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("bound", "host"), [("0.0.0.0", "gpu-box:8000"), ("::", "10.0.0.7:8000"), ("2001:db8::1", "[2001:db8::1]:8000")]
)
def test_other_machines_call_a_service_that_lets_them_in_by_any_of_its_names(session: Session, bound: str, host: str) -> None:
    """Nobody knows all names of a machine that listens at all its addresses; the token is asked for all the same."""
    client = TestClient(make_app(session, token=TOKEN, host_names=[bound]))

    assert client.get("/models", headers={"Host": host, **SENDS_TOKEN}).status_code == 200
    assert client.get("/models", headers={"Host": host}).status_code == 401



@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prompts": []}, "prompts: List should have at least 1 item"),
        ({"prompts": [{"kind": "point", "strokes": [[[1, 2], [3, 4]]]}]}, "a point has one stroke"),
        ({"prompts": [{"kind": "line", "strokes": [[[1, 2]]]}]}, "every stroke of a line has two points"),
        ({"prompts": [click(1e300, 2)]}, "less than or equal to 1000000000"),
        ({"image": {"levels": [[400, 300]], "mpp": 0}}, "image.mpp"),
        ({"image": {"levels": [[400, 0]], "mpp": 1}}, "image.levels"),
        ({"points": "/etc/passwd"}, "there is no model '/etc/passwd'"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"prompts": [{"kind": "point", "strokes": [[["x", "y"]]]}] * 900}, "; and 1795 more"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(client: TestClient, body: dict[str, Any], changes: dict[str, Any], reason: str) -> None:
    """In a short line that does not send the request back."""
    answer = client.post("/segment", json=body | changes)

    assert answer.status_code == 422
    assert reason in answer.json()["detail"]
    assert len(answer.content) < 1000


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"image": NaN}', b"null", b"1" * 10_000])
def test_what_is_no_request_is_refused(client: TestClient, content: bytes) -> None:
    """A 4xx, whatever it is."""
    answer = client.post("/segment", content=content, headers={"Content-Type": "application/json"})

    assert 400 <= answer.status_code < 500
    assert len(answer.content) < 1000


@pytest.mark.parametrize("states_length", [True, False])
def test_a_body_without_end_is_cut_off(client: TestClient, monkeypatch: pytest.MonkeyPatch, states_length: bool) -> None:
    """Whether it says how long it is or not."""
    monkeypatch.setattr(security, "LARGEST_BODY", 10_000)
    content: Any = b"x" * 20_000 if states_length else (b"x" * 1000 for _ in range(20))

    answer = client.post("/segment", content=content)

    assert answer.status_code == 413
    assert client.get("/models").status_code == 200


def test_out_of_memory_is_answered_and_the_next_click_works(
    client: TestClient, session: Session, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the same device."""
    with monkeypatch.context() as full:
        full.setattr(session, "segment", lambda request: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
        answer = client.post("/segment", json=body)
    assert (answer.status_code, "out of memory" in answer.json()["detail"]) == (503, True)

    assert client.post("/segment", json=body).json()["results"][0]["status"] == "ok"
    assert client.get("/health").json()["device"] == "cpu"


def test_too_many_requests_at_once_are_told_to_wait(session: Session, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holds its pixels in memory."""
    monkeypatch.setattr(security, "MOST_AT_ONCE", 0)
    with TestClient(make_app(session, token=TOKEN), base_url="http://localhost", headers=SENDS_TOKEN) as client:
        assert client.post("/segment", json=body).status_code == 429


def test_only_real_work_keeps_the_service_awake(session: Session, body: dict[str, Any]) -> None:
    """A window that asks for health all day does not."""
    activity = Activity()
    app = make_app(session, token=TOKEN, activity=activity)
    with TestClient(app, base_url="http://localhost", headers=SENDS_TOKEN) as client:
        begun = activity.last
        client.get("/health")
        assert activity.last == begun
        client.post("/segment", json=body)
        assert activity.last > begun
