# SPDX-License-Identifier: Apache-2.0
"""Replies against /openapi.json: status, content type, body and the form of errors.

A checker of our own for the part of JSON Schema that the document uses, so that the tests need no
package; a keyword that it does not know is an error, never ignored.
"""
import http.client
import json
import re

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
KINDS = {"null": type(None), "boolean": bool, "string": str, "array": list, "object": dict}
NAMES = {400: "BadRequestError", 401: "UnauthorizedError", 403: "ForbiddenError",
         404: "NotFoundError", 405: "MethodNotAllowedError", 409: "ConflictError",
         413: "PayloadTooLargeError", 414: "URITooLongError", 415: "UnsupportedMediaTypeError",
         422: "ValidationError", 431: "HeaderFieldsTooLargeError",
         500: "InternalServerError", 501: "NotImplementedError", 503: "ServiceUnavailableError"}
# Statuses of a request that reaches no operation, and of a server that serves none of it.
WITHOUT_OPERATION = (400, 401, 403, 404, 405, 413, 414, 431, 501, 503)


def is_kind(value, kind):
    if kind in ("integer", "number"):
        numbers = int if kind == "integer" else (int, float)
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, KINDS[kind])


class Schema:
    """Yields what is wrong with a value, as text with the place."""

    def __init__(self, document):
        self.document = document

    def errors(self, value, schema, place="body"):
        for keyword, wanted in schema.items():
            check = getattr(self, "on_" + keyword.lstrip("$").lower(), None)
            if check is None:
                raise ValueError(f"the checker does not know the keyword {keyword}")
            yield from check(value, wanted, place)

    def on_ref(self, value, wanted, place):
        target = self.document
        for step in wanted.removeprefix("#/").split("/"):
            target = target[step]
        yield from self.errors(value, target, place)

    def on_type(self, value, wanted, place):
        kinds = wanted if isinstance(wanted, list) else [wanted]
        if not any(is_kind(value, kind) for kind in kinds):
            yield f"{place} is {json.dumps(value)[:80]}, not {' or '.join(kinds)}"

    def on_enum(self, value, wanted, place):
        if value not in wanted:
            yield f"{place} is {value!r}, not one of {wanted}"

    def on_const(self, value, wanted, place):
        if value is not wanted and value != wanted:
            yield f"{place} is {value!r}, not {wanted!r}"

    def on_anyof(self, value, wanted, place):
        tried = [list(self.errors(value, schema, place)) for schema in wanted]
        if all(tried):
            yield from max(tried, key=len)

    def on_properties(self, value, wanted, place):
        for name, schema in wanted.items():
            if isinstance(value, dict) and name in value:
                yield from self.errors(value[name], schema, f"{place}.{name}")

    def on_required(self, value, wanted, place):
        for name in wanted:
            if isinstance(value, dict) and name not in value:
                yield f"{place}.{name} is missing"

    def on_items(self, value, wanted, place):
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from self.errors(item, wanted, f"{place}[{index}]")

    def on_format(self, value, wanted, place):
        if wanted != "date-time":
            raise ValueError(f"the checker does not know the format {wanted}")
        if isinstance(value, str) and not TIME.fullmatch(value):
            yield f"{place} is {value!r}, not an RFC 3339 time"

    def on_minimum(self, value, wanted, place):
        if is_kind(value, "number") and value < wanted:
            yield f"{place} is {value}, less than {wanted}"

    def on_maximum(self, value, wanted, place):
        if is_kind(value, "number") and value > wanted:
            yield f"{place} is {value}, more than {wanted}"

    def size(self, value, kind, is_wrong, place):
        if isinstance(value, kind) and is_wrong(len(value)):
            yield f"{place} has {len(value)} characters or items"

    def on_minlength(self, value, wanted, place):
        yield from self.size(value, str, lambda size: size < wanted, place)

    def on_maxlength(self, value, wanted, place):
        yield from self.size(value, str, lambda size: size > wanted, place)

    def on_minitems(self, value, wanted, place):
        yield from self.size(value, list, lambda size: size < wanted, place)

    def on_maxitems(self, value, wanted, place):
        yield from self.size(value, list, lambda size: size > wanted, place)

    def on_description(self, *_):
        return ()


class Contract:
    """One document, the replies that were held against it, and what was wrong with them."""

    def __init__(self, document):
        self.document, self.schema = document, Schema(document)
        self.operations, self.succeeded = [], set()
        self.checked, self.violations = 0, []
        for path, item in document["paths"].items():
            pattern = re.sub(r"{[^}]*}", "\0", path)
            pattern = re.escape(pattern).replace(re.escape("\0"), "[^/]+") + "/?"
            for method, operation in item.items():
                self.operations.append((method.upper(), path.count("{"), re.compile(pattern),
                                        operation))
        self.operations.sort(key=lambda row: row[1])  # Literal segments win.

    def find(self, method, path):
        path = re.sub(r"/+", "/", path.split("?")[0])
        for name, _, pattern, operation in self.operations:
            if name == method and pattern.fullmatch(path):
                return operation
        return None

    def never_succeeded(self):
        return {operation["operationId"] for *_, operation in self.operations} - self.succeeded

    def undescribed(self):
        """Operations whose success may be any object: nobody has said what is in it."""
        return {operation["operationId"] for *_, operation in self.operations
                if any(reply.get("content", {}).get("application/json", {}).get("schema")
                       == {"type": "object"} for reply in operation["responses"].values())}

    def check(self, method, path, status, headers, text):
        """`headers` with lower-case names; `text` as bytes. Returns and keeps what is wrong."""
        found = list(self.errors(method, path, status, headers, text))
        self.checked += 1
        self.violations += [f"{method} {path[:120]} {status}: {error}" for error in found]
        return found

    def errors(self, method, path, status, headers, text):
        operation = self.find(method, path)
        is_page = headers.get("content-type", "")[:5] == "text/" or path == "/status.json" or \
            path.startswith("/history/")
        if operation is None and status == 200 and is_page:
            return  # Of the dashboard.
        if not headers.get("x-request-id"):
            yield "it has no X-Request-Id"
        if operation is None:
            if status not in WITHOUT_OPERATION:
                yield "no operation has this path, yet the status is none of a refusal"
            yield from self.error_body(status, headers, text)
            return
        reply = operation["responses"].get(str(status))
        if reply is None and status != 405:
            yield f"the status is not documented for {operation['operationId']}"
        elif status >= 400:
            yield from self.error_body(status, headers, text)
        else:
            self.succeeded.add(operation["operationId"])
            yield from self.success_body(reply, headers, text)

    def parse(self, headers, text):
        if headers.get("content-type") != "application/json":
            yield f"the Content-Type is {headers.get('content-type')!r}", None
            return
        try:
            yield None, json.loads(text)
        except ValueError as error:
            yield f"the body is no JSON: {error}", None

    def events(self, text, schema):
        """Every frame of a stream has one line of data, JSON that the schema describes; comments
        and `[DONE]` are none. Other fields may come before it."""
        frames = text.decode("utf-8").split("\n\n")
        if frames.pop():
            yield "the stream ends within a frame"
        if not frames:
            yield "the stream has no event"
        for number, frame in enumerate(frames):
            lines = [line for line in frame.split("\n")
                     if not line.startswith(("id: ", "event: ", "retry: "))]
            data = "\n".join(lines).removeprefix("data: ")
            if data.startswith(":") or data == "[DONE]":
                continue
            try:
                yield from self.schema.errors(json.loads(data), schema, f"event {number}")
            except ValueError as error:
                yield f"event {number} is no JSON: {error}"

    def success_body(self, reply, headers, text):
        content = reply.get("content")
        if content is None:
            if text:
                yield "there is a body where none is documented"
            return
        if "*/*" in content:
            return  # Bytes of somebody's: any are right.
        kind = (headers.get("content-type") or "").split(";")[0]
        if kind == "text/event-stream" and kind in content:
            yield from self.events(text, content[kind]["schema"])
            return
        if kind == "text/csv" and kind in content:
            return
        for error, body in self.parse(headers, text):
            if error:
                yield error
            else:
                yield from self.schema.errors(body, content["application/json"]["schema"])

    def error_body(self, status, headers, text):
        schema = self.document["components"]["schemas"]["Error"]
        for error, body in self.parse(headers, text):
            if error:
                yield error
                return
            found = list(self.schema.errors(body, schema))
            yield from found
            if found:
                return
            if body["status"] != status:
                yield f"the body says {body['status']}"
            if status in NAMES and body["error"]["type"] != NAMES[status]:
                yield f"the error's type is {body['error']['type']}"
            # A replayed reply is the first one's, to the byte.
            if "idempotent-replayed" not in headers and \
                    body["error"]["details"].get("request_id") != headers.get("x-request-id"):
                yield "error.details.request_id is not the X-Request-Id"
            if (status == 422) != bool(body.get("detail")):
                yield "`detail` belongs to a 422, and to nothing else"
            if status == 503 and "retry-after" not in headers:
                yield "a 503 says when to try again"


contracts = {}  # By port; None: what listens there serves no document.


def of_port(port):
    if port not in contracts:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", "/openapi.json")
            reply = connection.getresponse()
            text = reply.read()
            contracts[port] = Contract(json.loads(text)) if reply.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None  # It is being stopped or killed: the next call asks again.
        finally:
            connection.close()
    return contracts[port]


def check(port, method, path, status, headers, text):
    contract = of_port(port)
    if contract is not None:
        contract.check(method, path, status,
                       {name.lower(): value for name, value in headers.items()}, text)
