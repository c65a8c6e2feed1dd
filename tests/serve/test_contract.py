"""The service against its own OpenAPI description: whatever is sent, it answers as described, and never with a 5xx."""

import atexit
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import allow_header_conformance, positive_data_acceptance

from fakes import DarkIsObject, make_card
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.serve.app import make_app
from nuclick_qp.serve.session import Session

HEADERS = {"Authorization": "Bearer a-token-of-the-tests", "Host": "localhost"}

session = Session(device="cpu", ready={"point": Predictor(make_card(), DarkIsObject(), device="cpu", precision="float32")})
atexit.register(session.close)
app = make_app(session, token="a-token-of-the-tests")
schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=HEADERS)


# A job starts a process for whatever path it is given; tests/serve/test_jobs.py has that.
@schema.exclude(method="POST", path="/jobs").parametrize()
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_answer_is_described(case: schemathesis.Case[Any]) -> None:
    """Status, media type and body, for requests that fit the description and for those that do not.

    Not asked: that all that fits is accepted (a region may fit and yet lie outside its image), nor what the framework
    says of methods.
    """
    case.call_and_validate(headers=HEADERS, excluded_checks=[allow_header_conformance, positive_data_acceptance])
