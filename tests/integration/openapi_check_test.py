#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The checker of replies itself: what is wrong with a reply, an error or a stream must be found."""
import json

import openapi_check
import sluice_testlib as lib

EVENT = {"type": "object", "required": ["event_type"], "properties": {
    "event_type": {"type": "string", "enum": ["start", "end"]}}}
ERROR = {"type": "object", "required": ["success", "status", "error"], "properties": {
    "error": {"type": "object", "required": ["message", "type", "details"]}}}
OK = {"description": "Success", "content": {
    "application/json": {"schema": {"type": "object", "required": ["n"], "properties": {
        "n": {"type": "integer"}}}},
    "text/event-stream": {"schema": EVENT}}}
DOCUMENT = {
    "paths": {"/v1/runs": {"post": {"operationId": "run", "responses": {
        "200": OK, "404": {}, "422": {}, "503": {}}}},
              "/v1/bytes": {"get": {"operationId": "bytes", "responses": {"200": {
                  "content": {"*/*": {"schema": {"type": "string"}}}}}}}},
    "components": {"schemas": {"Error": ERROR}}}
JSON, STREAM = "application/json", "text/event-stream"


def found(status, kind, body, method="POST", path="/v1/runs", **headers):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return openapi_check.Contract(DOCUMENT).check(
        method, path, status, {"content-type": kind, "x-request-id": "req_1", **headers}, text)


def error(status, name, **more):
    return {"success": False, "status": status, "error": {
        "message": "no", "type": name, "details": {"request_id": "req_1"}}, **more}


def main():
    with lib.check("what is right is accepted"):
        for reply in ((200, JSON, {"n": 1}), (404, JSON, error(404, "NotFoundError")),
                      (422, JSON, error(422, "ValidationError", detail=[{}])),
                      (200, STREAM, b'data: {"event_type": "start"}\n\n: keep-alive\n\n'
                                    b'data: {"event_type": "end"}\n\n')):
            lib.equal(found(*reply), [])
        lib.equal(found(200, "image/png", b"\x89", "GET", "/v1/bytes"), [])
    wrong = {
        "a member of another type": (200, JSON, {"n": "1"}),
        "a member that is missing": (200, JSON, {}),
        "a body that is no JSON": (200, JSON, b"{"),
        "another content type": (200, "text/plain", {"n": 1}),
        "a status that is not documented": (202, JSON, {"n": 1}),
        "an error without its envelope": (404, JSON, {"message": "no"}),
        "an error with another status within": (404, JSON, error(409, "NotFoundError")),
        "an error with another's type": (404, JSON, error(404, "ConflictError")),
        "a 422 without its detail": (422, JSON, error(422, "ValidationError")),
        "a detail that is no 422's": (404, JSON, error(404, "NotFoundError", detail=[{}])),
        "a 503 that does not say when": (503, JSON, error(503, "ServiceUnavailableError")),
        "an event that the schema does not know": (200, STREAM, b'data: {"event_type": "no"}\n\n'),
        "an event that is no JSON": (200, STREAM, b"data: {\n\n"),
        "an event that is cut short": (200, STREAM, b'data: {"event_type": "end"}'),
        "a stream without an event": (200, STREAM, b""),
    }
    for name, reply in wrong.items():
        with lib.check(f"found: {name}"):
            assert found(*reply), reply
    with lib.check("found: a reply without its request's id"):
        assert openapi_check.Contract(DOCUMENT).check(
            "POST", "/v1/runs", 200, {"content-type": JSON}, b'{"n": 1}')
    lib.finish()


if __name__ == "__main__":
    main()
