"""Many clients at one service: good and bad requests mixed, every answer checked, memory watched.

By hand: ``python tests/load_service.py --requests 10000 --clients 8`` starts a service of its own and prints a table.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.draw import disk

sys.path.insert(0, str(Path(__file__).parents[1]))
from service_requests import click, region

Ask = Callable[[str, bytes | None, dict[str, str]], tuple[int, bytes]]
SIZE = 1024
RADIUS = 11


@dataclass(slots=True)
class Tally:
    """What came back.

    Attributes
    ----------
    wrong
        Answers other than expected, shortened.
    seconds
        Of each good click.
    """

    answers: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def draw_scene(rng: np.random.Generator) -> tuple[NDArray[np.uint8], list[tuple[int, int]]]:
    """Give an image of dark discs on a grid, and their centres."""
    image = rng.integers(222, 238, (SIZE, SIZE, 3)).astype(np.uint8)
    centres = [(x, y) for x in range(60, SIZE - 60, 64) for y in range(60, SIZE - 60, 64)]
    for x, y in centres:
        image[disk((y, x), RADIUS, shape=image.shape[:2])] = (95, 60, 140)
    return image, centres


def good_request(image: NDArray[np.uint8], centre: tuple[int, int]) -> dict[str, Any]:
    """Give a click on a disc, with the pixels round it."""
    x, y = centre
    left, top = max(0, x - 140), max(0, y - 140)
    pixels = region(image, left, top, min(280, SIZE - left), min(280, SIZE - top), encoding="rgb")
    return {"image": {"levels": [[SIZE, SIZE]], "mpp": 0.25}, "prompts": [click(x + 0.5, y + 0.5)], "pixels": [pixels]}


def bad_requests(good: dict[str, Any]) -> list[tuple[bytes, dict[str, str], int]]:
    """Give bodies and headers that have to be refused, each with its status."""
    pixels = good["pixels"][0]
    spoilt = [
        {**good, "prompts": []},
        {**good, "image": {"levels": [], "mpp": 0.25}},
        {**good, "pixels": [{**pixels, "data": pixels["data"][:1000]}]},
        {**good, "pixels": [{**pixels, "encoding": "png"}]},
        {**good, "points": "no such model"},
        {**good, "standing": [{"key": "x", "geometry": {"type": "Polygon"}}]},
    ]
    bodies: list[tuple[bytes, dict[str, str], int]] = [(json.dumps(body).encode(), {}, 422) for body in spoilt]
    other: list[tuple[bytes, dict[str, str], int]] = [
        (b"{", {}, 422),
        (json.dumps(good).encode(), {"Authorization": "Bearer wrong"}, 401),
        (json.dumps(good).encode(), {"Host": "evil.example"}, 403),
        (json.dumps(good).encode(), {"Origin": "http://localhost"}, 403),
    ]
    return bodies + other


def run_clients(ask: Ask, *, requests: int, clients: int, bad_share: float = 0.3, seed: int = 0) -> Tally:
    """Send requests from several threads at once, and check every answer.

    Parameters
    ----------
    ask
        Sends path, body and further headers; gives status and body.
    """
    image, centres = draw_scene(np.random.default_rng(seed))
    goods = [good_request(image, centre) for centre in centres]
    bads = bad_requests(goods[0])
    expected = [_outline_of(ask, good) for good in goods]
    tally, lock = Tally(), threading.Lock()

    def client(number: int) -> None:
        rng = np.random.default_rng((seed, number))
        for _ in range(requests // clients):
            if rng.random() < bad_share:
                body, headers, status = bads[rng.integers(len(bads))]
                found, answer = ask("/segment", body, headers)
                fault = "" if found == status else f"{found} for {status}: {answer[:200]!r}"
                seconds = None
            else:
                chosen = int(rng.integers(len(goods)))
                begun = time.perf_counter()
                found, answer = ask("/segment", json.dumps(goods[chosen]).encode(), {})
                seconds = time.perf_counter() - begun
                fault = "" if found == 200 and _result(answer) == expected[chosen] else f"{found} {answer[:200]!r}"
            with lock:
                tally.answers[found] += 1
                tally.wrong += [fault] if fault else []
                tally.seconds += [] if seconds is None else [seconds]

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally


def _outline_of(ask: Ask, good: dict[str, Any]) -> Any:
    status, answer = ask("/segment", json.dumps(good).encode(), {})
    assert status == 200, answer
    return _result(answer)


def _result(answer: bytes) -> Any:
    """Give what must be the same each time; the network may round otherwise in another batch, which moves vertices by 0.01 px."""
    [result] = json.loads(answer)["results"]
    ring = None if result["feature"] is None else result["feature"]["geometry"]["coordinates"][0]
    place = None if ring is None else np.round(np.mean(ring, axis=0), 0).tolist()
    return result["key"], result["status"], place


@contextmanager
def running_service() -> Iterator[tuple[Ask, int]]:
    """Start a service of its own; give what asks it, and the number of its process."""
    with tempfile.TemporaryDirectory() as folder:
        surroundings = {**os.environ, "XDG_RUNTIME_DIR": folder}
        process = subprocess.Popen(
            [sys.executable, "-m", "nuclick_qp_cli.main", "serve", "--device", "cpu"], stdout=subprocess.PIPE, env=surroundings
        )
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["port"]
        token = json.loads((Path(folder) / "nuclick-qp" / "serve.json").read_text())["token"]

        def ask(path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
            sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} | headers
            request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, sent)
            try:
                with urllib.request.urlopen(request, timeout=120) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as err:
                return err.code, err.read()

        try:
            yield ask, process.pid
        finally:
            process.terminate()
            process.wait()


def resident_mb(pid: int) -> float:
    """Give the memory of a process in MB; Linux only."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--bad-share", type=float, default=0.3)
    chosen = parser.parse_args()
    with running_service() as (ask, pid):
        run_clients(ask, requests=200, clients=chosen.clients)
        before = resident_mb(pid)
        tally = run_clients(ask, requests=chosen.requests, clients=chosen.clients, bad_share=chosen.bad_share, seed=1)
        after = resident_mb(pid)
    percentiles = np.percentile(tally.seconds, [50, 95]) * 1000
    print(f"{sum(tally.answers.values())} requests of {chosen.clients} clients: {dict(sorted(tally.answers.items()))}")
    print(f"wrong answers: {len(tally.wrong)} {tally.wrong[:5]}")
    print(f"a click: median {percentiles[0]:.0f} ms, 95th percentile {percentiles[1]:.0f} ms")
    print(f"memory: {before:.0f} MB after 200 requests, {after:.0f} MB at the end")


if __name__ == "__main__":
    main()
