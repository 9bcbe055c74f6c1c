"""`PYTHON crate_checker.py FOLDER`: the checker of the Workflow Run RO-Crate profile (package roc-validator), without network.

It would fetch the two JSON-LD contexts that a crate names. Here they come from the package rocrate and the profile's text.
"""

import json
import sys
from pathlib import Path

import rdflib.plugins.parsers.jsonld
import rdflib.plugins.shared.jsonld.context
import rdflib.plugins.shared.jsonld.util
import rocrate
from rocrate_validator import services
from rocrate_validator.utils import http

STORED = json.loads((Path(rocrate.__file__).parent / "data/ro-crate.jsonld").read_text())["@context"]
BIOSCHEMAS = {word: f"https://bioschemas.org/{word}" for word in ("ComputationalWorkflow", "FormalParameter")}
CONTEXTS = {
    "w3id.org/ro/crate": {
        **(STORED if isinstance(STORED, dict) else {k: v for part in STORED for k, v in part.items()}),
        **BIOSCHEMAS,
    },
    "workflow-run/context": {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"},
}


def context(source) -> dict | None:
    """The context that lies at an address; None for what is not a context."""
    known = (words for address, words in CONTEXTS.items() if address in str(source) and "context" in str(source))
    return next(({"@context": words} for words in known), None)


class Answer:
    """What a request for a context is answered."""

    status_code, ok, text, from_cache, is_redirect, history = 200, True, "", True, False, ()
    headers = {"Content-Type": "application/ld+json"}  # noqa: RUF012

    def __init__(self, content: dict) -> None:
        self.content = json.dumps(content).encode()
        self.text = self.content.decode()

    def json(self) -> dict:
        return json.loads(self.content)

    def raise_for_status(self) -> None:
        pass


def without_network() -> None:
    """Have the checker and rdflib take contexts from here."""
    util = rdflib.plugins.shared.jsonld.util
    read = util.source_to_json

    def stored(source, *arguments, **options):
        known = context(source)
        return (known, None) if known else read(source, *arguments, **options)

    for module in (util, rdflib.plugins.parsers.jsonld, rdflib.plugins.shared.jsonld.context):
        module.source_to_json = stored
    for kind in [kind for kind in vars(http).values() if isinstance(kind, type) and kind.__module__ == http.__name__]:
        kind.get = lambda self, url, *arguments, **options: Answer(context(url))


without_network()
settings = {
    "rocrate_uri": sys.argv[1],
    "profile_identifier": "workflow-run-crate",
    "requirement_severity": "REQUIRED",
    "skip_availability_check": True,
}
result = services.validate(settings)
sys.stdout.writelines(f"{issue.check.identifier} {issue.message}\n" for issue in result.get_issues())
sys.exit(not result.passed())
