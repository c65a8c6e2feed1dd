"""Measurements in processes of their own: threads, caches and memory of one are nothing to the next."""

import subprocess
import sys
from typing import TypeVar

from pydantic import BaseModel

Answer = TypeVar("Answer", bound=BaseModel)


def answer_of(module: str, request: BaseModel, kind: type[Answer]) -> Answer:
    """Start a module with a request, and read its answer."""
    done = subprocess.run([sys.executable, "-m", module, request.model_dump_json()], stdout=subprocess.PIPE, text=True, check=True)
    return kind.model_validate_json(done.stdout.splitlines()[-1])
