"""
Compares each object of YAML files with the schemas of Kubernetes, and writes objects and faults to stdout, as JSON.

An unknown kind is a fault, and so is a field that the schema does not have. In the environment of the orchestrators:
`python kubernetes_objects.py FOLDER VERSION ...`.
"""

import json
import sys
from pathlib import Path

import yaml
from kubernetes_validate import SchemaNotFoundError, ValidationError, validate


def main(folder: str, *versions: str) -> None:
    """Write the objects of a folder by file name, and all faults."""
    objects, faults = {}, []
    for path in sorted(Path(folder).glob("*.yaml")):
        (objects[path.name],) = yaml.safe_load_all(path.read_text(encoding="utf-8"))
        for version in versions:
            try:
                validate(objects[path.name], version, strict=True)
            except (ValidationError, SchemaNotFoundError) as exc:
                faults.append(f"{path.name}: {exc.message}")
    json.dump({"objects": objects, "faults": faults}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
