"""A process that measures: ``python -m benchmarks.child KIND JSON``.

It builds an object of that kind with the settings in JSON and prints the object's facts. Then it answers each line
``{"ask": method, ...arguments}`` with what the method returns, until the pipe is closed.
"""

import json
import sys
from importlib import import_module

KINDS = {"steps": "contenders:Steps", "operations": "layers:Layers", "peaks": "peaks:Peaks"}


def main(kind: str, settings: str) -> None:
    module, _, name = KINDS[kind].partition(":")
    measured = getattr(import_module(f"benchmarks.{module}"), name)(**json.loads(settings))
    print(json.dumps(measured.facts), flush=True)
    for line in sys.stdin:
        arguments = json.loads(line)
        print(json.dumps(getattr(measured, arguments.pop("ask"))(**arguments)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
