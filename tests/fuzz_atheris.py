"""Mutated `data.qpdata` once more, guided by coverage; needs `pip install atheris` (Linux).

    python tests/fuzz_atheris.py FOLDER -runs=100000 -max_len=20000 -rss_limit_mb=1024 -timeout=10

FOLDER keeps the streams that reached something new; the fixtures go into it at the start. All other options are libFuzzer's.
"""

import hashlib
import sys
from pathlib import Path


def main() -> None:
    """Fill the folder and fuzz."""
    import atheris  # noqa: PLC0415  # tests are collected without it

    with atheris.instrument_imports(include=["nuclick_qp.qupath"]):
        from fuzz_data_file import seeds, try_stream  # noqa: PLC0415  # instrumented while it is imported
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit("name a folder for the streams: python tests/fuzz_atheris.py FOLDER -runs=100000")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for data in seeds():
        (folder / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    atheris.Setup(sys.argv, try_stream)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
