# SPDX-License-Identifier: Apache-2.0
"""Series that boards and rules below docs/monitoring ask for, against those of a scrape."""
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "monitoring"
NAME = re.compile(r"\b(?:sluice|process)_[a-z_]+")


def expressions():
    """Every query of a board and every line of the rules."""
    for path in sorted(ROOT.glob("grafana/dashboards/*.json")):
        board = json.loads(path.read_text())
        yield path.name, board["templating"]["list"][0]["query"]["query"]
        for panel in board["panels"]:
            for target in panel["targets"]:
                yield f"{path.name}: {panel['title']}", target["expr"]
    for line in (ROOT / "prometheus/sluice.rules.yml").read_text().splitlines():
        yield "sluice.rules.yml", line.split("#")[0]


def unknown(scrape):
    """(where, name) of each series that is asked for and is no family of a scrape's text."""
    families = set(re.findall(r"^# TYPE (\S+) ", scrape, re.M))
    sums = re.findall(r"^# TYPE (\S+) (?:histogram|summary)$", scrape, re.M)
    steps = {name + end for name in sums for end in ("_bucket", "_sum", "_count")}
    return [(where, name) for where, text in expressions() for name in NAME.findall(text)
            if name not in families | steps]


def asked():
    """How many names are asked for in all."""
    return sum(len(NAME.findall(text)) for _, text in expressions())
