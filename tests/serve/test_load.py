"""A short run of `load_service.py` in one process: eight clients, good and bad requests, the right answer to each."""

from fastapi.testclient import TestClient

from fakes import DarkIsObject, make_card
from load_service import run_clients
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.serve.app import make_app
from nuclick_qp.serve.session import Session

TOKEN = "a-token-of-the-tests"


def test_eight_clients_at_once_get_the_right_answers() -> None:
    """Whatever the others send."""
    session = Session(device="cpu", ready={"point": Predictor(make_card(), DarkIsObject(), device="cpu", precision="float32")})
    with TestClient(make_app(session, token=TOKEN), base_url="http://localhost") as client:

        def ask(path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
            sent = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"} | headers
            answer = client.post(path, content=body, headers=sent)
            return answer.status_code, answer.content

        tally = run_clients(ask, requests=200, clients=8)

    assert tally.wrong == []
    assert tally.answers.keys() == {200, 401, 403, 422}
