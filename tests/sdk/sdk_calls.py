# SPDX-License-Identifier: Apache-2.0
"""What the steps with the SDK's generated client share."""
import mixpeek
import sluice_testlib as lib
from mixpeek import models

EXTRACTOR = {"feature_extractor_name": "text_extractor", "version": "v1"}
URI = "mixpeek://text_extractor@v1/text_hash_v1"
IS_OLD = mixpeek.__version__.startswith("0.")
# 0.81 knows one status of what is made anew, later ones another.
COPIED = 201 if IS_OLD else 200
TEXTS = ("Waterproof hiking boots, size 42", "A red bicycle for children", "Green tea, loose",
         "A spare part that nobody wants")


def find_stage(query, **parameters):
    search = {"feature_uri": URI, "top_k": 50, "query": {"input_mode": "text", "value": query}}
    return {"stage_name": "search", "stage_type": "filter", "config": {
        "stage_id": "feature_search",
        "parameters": {"final_top_k": 3, **parameters, "searches": [search]}}}


def ok(operation, *arguments, status=200, **options):
    """Call an operation of the generated client; its status must be the one the SDK knows."""
    variant = getattr(operation.__self__, operation.__name__ + "_with_http_info")
    reply = variant(*arguments, **options)
    lib.equal(reply.status_code, status, f"{operation.__name__}: status")
    if status != 204:
        assert reply.data is not None, f"{operation.__name__}: the SDK did not know the reply"
    return reply.data


def refused(error, operation, *arguments):
    """The call must raise this class of the SDK, with a body that it could parse."""
    try:
        operation(*arguments)
    except error as raised:
        return raised
    raise AssertionError(f"{operation.__name__} did not raise {error.__name__}")


def make(model, **fields):
    return getattr(models, model).from_dict(fields)


def plain(value):
    return value if isinstance(value, dict) else value.to_dict()
