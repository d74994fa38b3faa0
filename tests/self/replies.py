#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Wrong replies, each of which openapi_check.py must catch; and a right one that it must not."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../integration"))
import openapi_check  # pylint: disable=wrong-import-position
import sluice_testlib as lib  # pylint: disable=wrong-import-position

ERROR = {"type": "object", "required": ["success", "status", "error"], "properties": {
    "success": {"type": "boolean", "const": False}, "status": {"type": "integer"},
    "error": {"type": "object", "required": ["message", "type", "details"]}}}
THING = {"type": "object", "required": ["id", "kind", "made"], "properties": {
    "id": {"type": "string", "minLength": 3},
    "count": {"type": ["integer", "null"], "minimum": 0},
    "kind": {"type": "string", "enum": ["a", "b"]},
    "made": {"type": "string", "format": "date-time"},
    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
    "more": {"anyOf": [{"$ref": "#/components/schemas/Part"}, {"type": "null"}]}}}
PART = {"type": "object", "required": ["n"], "properties": {"n": {"type": "number", "maximum": 9}}}
DOCUMENT = {
    "paths": {"/things/{id}": {"get": {"operationId": "get_thing", "responses": {
        "200": {"content": {"application/json": {"schema": THING}}}, "404": {}, "422": {}}}}},
    "components": {"schemas": {"Error": ERROR, "Part": PART}}}
GOOD = {"id": "one", "kind": "a", "made": "2026-01-10T12:00:00.000Z", "parts": [{"n": 1.5}],
        "count": None, "more": None}
HEADERS = {"content-type": "application/json", "x-request-id": "req_1"}


def failure(status, **changes):
    return {"success": False, "status": status, "error": {
        "message": "no such thing", "type": openapi_check.NAMES[status],
        "details": {"request_id": "req_1"}}, **changes}


def without(name):
    return {key: value for key, value in GOOD.items() if key != name}


WRONG = (
    ("a field that is missing", 200, without("kind")),
    ("null where there must be a value", 200, {**GOOD, "id": None}),
    ("a text that is too short", 200, {**GOOD, "id": "x"}),
    ("a number that is a text", 200, {**GOOD, "count": "5"}),
    ("a boolean for a number", 200, {**GOOD, "count": True}),
    ("a number below its least", 200, {**GOOD, "count": -1}),
    ("a word that is not of the list", 200, {**GOOD, "kind": "c"}),
    ("a time of another format", 200, {**GOOD, "made": "10 January"}),
    ("a wrong part in a list", 200, {**GOOD, "parts": [{"n": 1}, {}]}),
    ("neither of two choices", 200, {**GOOD, "more": {"n": 10}}),
    ("a list for an object", 200, [GOOD]),
    ("a status that is not documented", 201, GOOD),
    ("a 500", 500, failure(500)),
    ("an error without its envelope", 404, {"detail": "not found"}),
    ("an error that names another status", 404, {**failure(404), "status": 400}),
    ("a 422 without what is invalid", 422, failure(422)),
)


def main():
    def found(status, body, **headers):
        contract = openapi_check.Contract(DOCUMENT)
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        return contract.check("GET", "/things/1", status, {**HEADERS, **headers}, text)

    lib.result(not found(200, GOOD), "a right reply passes", found(200, GOOD))
    lib.result(not found(404, failure(404)), "a right error passes", found(404, failure(404)))
    for name, status, body in WRONG:
        lib.result(len(found(status, body)) > 0, f"a reply with {name} is caught")
    lib.result(bool(found(200, b"<html>")), "a reply that is no JSON is caught")
    lib.result(bool(found(200, GOOD, **{"content-type": "text/html"})), "another type is caught")
    lib.result(bool(found(404, failure(404), **{"x-request-id": "req_2"})),
               "another request's error is caught")
    contract = openapi_check.Contract({**DOCUMENT, "components": {"schemas": {
        "Error": ERROR, "Part": {**PART, "unevaluated": 1}}}})
    try:
        contract.check("GET", "/things/1", 200, HEADERS, json.dumps(GOOD).encode())
    except ValueError:
        lib.result(True, "a keyword that the checker does not know is an error")
    else:
        lib.result(False, "a keyword that the checker does not know is an error")
    planted = openapi_check.Contract(DOCUMENT)
    planted.check("GET", "/things/1", 200, HEADERS, b"{}")
    openapi_check.contracts[0] = planted
    before, lib.failures = lib.failures, 0
    try:
        lib.finish()
    except SystemExit as end:
        is_caught = end.code == 1
    lib.failures = before
    print("the line above must be `not ok`: it was planted")
    return is_caught


if __name__ == "__main__":
    IS_CAUGHT = main()
    sys.exit(0 if IS_CAUGHT and lib.failures == 0 else 1)
