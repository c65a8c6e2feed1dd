#!/usr/bin/env bash
# Train on a GPU machine that is lent for a quarter of an hour and has no network.
#
# Here:   examples/training/gpu.sh wheels DIR [bench]         packages that such a machine may lack, for its Python (PYTHON_VERSION, 3.12);
#                                                             with those that read slides, which bench needs: 34 MB instead of 6
#         examples/training/gpu.sh pack KIND DATA FILE        the images of a kind, in one file below 60 MB
# There:  examples/training/gpu.sh [--wheels DIR] test                the tests that need a GPU, with pytest
#         examples/training/gpu.sh [--wheels DIR] bench FILE [--device cuda] [--size full]        tests, speed and scale, see docs/benchmarks.md
#         examples/training/gpu.sh [--wheels DIR] train KIND FILE OUT [--minutes 8 [--fit]] [--stage student] [--compile] [--device cuda]
#
# KIND is one of nuclei, nuclei-monuseg, cells, glands. `train` makes a teacher and then the student, the model that is
# used; the same command goes on from where the last one stopped, with exit code 130 while there is more to do. What is to
# come back lies in OUT/back, in files below 16 MB; put into a new OUT/back, it spares the next machine the teacher.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}
missing='^(annotated-types|contourpy|defusedxml|platformdirs|pydantic|pydantic_core|shapely|typing-inspection|typing_extensions)=='

slides='^(geojson|imagecodecs|openslide-bin|openslide-python)=='

if [ "${1:-}" = wheels ]; then
  [ "${3:-}" = bench ] && missing="$missing|$slides"
  grep -E "$missing" "$here/../../constraints.txt" |
    "$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version "${PYTHON_VERSION:-3.12}" --implementation cp \
      --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --dest "$2" --requirement /dev/stdin
  exit
fi

export PYTHONPATH="$here/../..${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
if [ "${1:-}" = --wheels ]; then
  site=$(mktemp -d)
  trap 'rm -rf "$site"' EXIT
  "$python" -m pip install --quiet --no-index --no-deps --no-compile --target "$site" "$2"/*.whl
  export PYTHONPATH="$site:$PYTHONPATH"
  shift 2
fi
if [ "${1:-}" = test ]; then
  cd "$here/../.."
  PYTHONPATH="$PYTHONPATH:$PWD/cli" "$python" -m pytest -m gpu tests/model tests/training
  exit
fi
if [ "${1:-}" = bench ]; then
  shift
  PYTHONPATH="$PYTHONPATH:$here/../../cli:$here/../../tests" "$python" -m benchmarks.gpu_bench "$@"
  exit
fi
"$python" "$here/distil.py" "$@"
