#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Requests that no client library sends, over raw sockets: refused, never obeyed, never a crash.

Every case states its status and who words the reply: JSON is the error envelope, PAGE a text of
libmicrohttpd's own, before anything of ours sees the request (docs/api.md lists those). After each
one the server still answers at once.
"""
import json
import re
import select
import socket
import struct
import threading
import time

import sluice_testlib as lib

JSON_TYPE = "Content-Type: application/json\r\n"
CHUNKED = "Transfer-Encoding: chunked"
JSON, PAGE, DONE = "an error envelope", "libmicrohttpd's page", "a reply of success"
AT_ONCE_S = 20  # Less than a request is given to come, whatever else this machine does.
# Freed memory that a sanitizer keeps, too.
GROWN_MAX = (1536 if "asan" in lib.BINARY else 256) << 20


class Raw:
    """Bytes to the server, and what came back until it was done or silent."""

    def __init__(self, server, key):
        self.port, self.auth = server.port, f"Authorization: Bearer {key}\r\n"

    def exchange(self, data, is_whole=None):
        is_whole = is_whole or self.is_whole
        with socket.create_connection(("127.0.0.1", self.port), 60) as link:
            link.settimeout(60)
            got = b""
            try:
                link.sendall(data)
            except OSError:
                pass  # It has said no already: read that.
            try:
                while not is_whole(got):
                    piece = link.recv(65536)
                    if not piece:
                        break
                    got += piece
            except OSError:
                pass
            return got

    @staticmethod
    def is_whole(got):
        head, mark, body = got.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)^content-length: (\d+)", head, re.M)
        return bool(mark and length and len(body) >= int(length[1])
                    and not head.startswith(b"HTTP/1.1 100"))

    def get(self, path, *headers, version="1.1", host="Host: sluice\r\n"):
        return (f"GET {path} HTTP/{version}\r\n{host}{self.auth}"
                + "".join(line + "\r\n" for line in headers) + "\r\n").encode("latin-1")

    def post(self, body, *headers):
        return (f"POST /v1/namespaces/list HTTP/1.1\r\nHost: sluice\r\n{self.auth}{JSON_TYPE}"
                + "".join(line + "\r\n" for line in headers) + "\r\n").encode("latin-1") + body


def status_of(got):
    found = re.match(rb"HTTP/1\.[01] (\d{3})", got)
    return int(found[1]) if found else 0


def is_enveloped(got):
    try:
        body = json.loads(got.partition(b"\r\n\r\n")[2])
        return body["success"] is False and body["status"] == status_of(got)
    except (ValueError, KeyError, TypeError):
        return False


def sized(raw, body):
    return raw.post(body, f"Content-Length: {len(body)}")


def heads(raw):
    """name, bytes, status, who words the reply"""
    path = "/v1/namespaces"
    yield "a header of 1 MiB", raw.get(path, "X-Big: " + "a" * (1 << 20)), 431, PAGE
    yield "10,000 headers", raw.get(path, *(f"X-{i}: {i}" for i in range(10000))), 431, PAGE
    for size in range(12, 17):
        yield f"a header of {size} KiB", raw.get(path, "X-Big: " + "a" * (size << 10)), \
            *((200, DONE) if size < 16 else (431, JSON))
    yield "98 headers", raw.get(path, *(f"X-{i}: {i}" for i in range(98))), 200, DONE
    yield "102 headers", raw.get(path, *(f"X-{i}: {i}" for i in range(100))), 431, JSON
    yield "98 headers in 15 KiB", \
        raw.get(path, *(f"X-{i}: {'a' * 140}" for i in range(98))), 200, DONE
    yield "a path of 1 MiB", raw.get("/v1/" + "a" * (1 << 20)), 414, PAGE
    yield "a path of 9 KiB", raw.get("/v1/" + "a" * (9 << 10)), 414, JSON
    yield "a query of 15 KiB", raw.get(path + "?q=" + "a" * (15 << 10)), 200, DONE
    yield "a query of 100 parameters", \
        raw.get(path + "?" + "&".join(f"a{i}=1" for i in range(100))), 400, JSON
    yield "a query of 5,000 parameters", \
        raw.get(path + "?" + "&".join(f"a{i}=1" for i in range(5000))), 414, PAGE
    yield "a header without a colon", raw.get(path, "nonsense"), 400, PAGE
    yield "a header without a name", raw.get(path, ": a"), 200, DONE
    yield "a space after a header's name", raw.get(path, "X-A : a"), 400, JSON
    yield "a header's name in brackets", raw.get(path, "(X-A): a"), 400, JSON
    yield "a control character in a header", raw.get(path, "X-A: a\1b"), 400, JSON
    yield "a line feed alone ends a header", raw.get(path, "X-A: a\nX-B: b"), 200, DONE
    yield "a folded header", raw.get(path, "X-A: a", "  more"), 200, DONE
    yield "bytes over 127 in a header", raw.get(path, "X-A: \xff\xfe"), 200, DONE
    yield "two different keys", raw.get(path, "Authorization: Bearer sk_x"), 400, JSON
    yield "a key twice", raw.get(path, raw.auth.strip()), 400, JSON
    for name in ("Host: other", "host: sluice"):
        yield f"a second {name}", raw.get(path, name), 400, JSON
    for name in ("X-Namespace", "Idempotency-Key", "X-Tenant-Id", "Content-Type"):
        yield f"{name} twice", raw.get(path, name + ": a", name.lower() + ": a"), 400, JSON
    yield "no Host", raw.get(path, host=""), 400, JSON
    yield "HTTP/1.0", raw.get(path, version="1.0"), 200, DONE
    yield "HTTP/1.0 without Host", raw.get(path, version="1.0", host=""), 200, DONE
    yield "HTTP/1.2", raw.get(path, version="1.2"), 200, DONE
    yield "HTTP/9.9", raw.get(path, version="9.9"), 505, PAGE
    yield "HTTP/0.9", b"GET /v1/namespaces\r\n\r\n", 400, PAGE
    yield "HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, PAGE
    yield "a method that is none", raw.get(path).replace(b"GET", b"BREW"), 405, JSON
    yield "a method in small letters", raw.get(path).replace(b"GET", b"get"), 405, JSON
    yield "CONNECT", raw.get("x:1").replace(b"GET", b"CONNECT"), 404, JSON


def paths(raw):
    for path in ("/v1/namespaces/..%2f..%2fetc%2fpasswd", "/v1/../../etc/passwd", "/..", "/%2e%2e",
                 "/v1/namespaces/%2e%2e", "/v1/buckets/..", "/v1/buckets/%252e%252e%252fetc",
                 "/v1%2fnamespaces", "/v1/namespaces%2f", "/%76%31/namespaces",
                 "/v1/namespaces;a=b", "//v1///namespaces//", "http://elsewhere/v1/namespaces",
                 "*", "v1/namespaces", "/v1/namespaces/" + "a" * 3000,
                 "/v1/namespaces/" + "%2e%2e%2f" * 80):
        yield f"the path {path[:40]}", raw.get(path), 404, JSON
    for path in ("/v1/namespaces/%c0%ae%c0%ae", "/v1/namespaces/%ff%fe", "/v1/namespaces/a%00b",
                 "/v1/namespaces/%", "/v1/namespaces/%zz", "/v1/namespaces/\xff",
                 "/v1/namespaces/%ed%a0%80", "/v1/namespaces/a b", "/v1/namespaces\tb",
                 "/v1/namespaces/a\1", "/v1/namespaces?q=%ff", "/v1/namespaces?q=%0",
                 "/v1/namespaces?%00=1"):
        yield f"the path {path!r}", raw.get(path), 400, JSON


def lengths(raw):
    yield "two lengths", raw.post(b"{}", "Content-Length: 2", "Content-Length: 3"), 400, JSON
    yield "a length twice", raw.post(b"{}", "Content-Length: 2", "Content-Length: 2"), 400, JSON
    yield "a length and chunks", raw.post(b"0\r\n\r\n", "Content-Length: 5", CHUNKED), 400, JSON
    yield "chunks and a length", raw.post(b"0\r\n\r\n", CHUNKED, "Content-Length: 5"), 400, JSON
    yield "chunked twice", raw.post(b"0\r\n\r\n", CHUNKED, CHUNKED), 400, JSON
    for name in ("gzip, chunked", "chunked, gzip", "identity", "xchunked", ""):
        yield f"the encoding {name!r}", raw.post(b"", "Transfer-Encoding: " + name), 400, JSON
    for name in ("Content-Length : 5", "Content-Length\t: 5", "Transfer-Encoding : chunked"):
        yield f"the header {name!r}", raw.post(b"0\r\n\r\n", name), 400, JSON
    for text in ("-5", "+5", "0x5", "5, 5", "five", ""):
        yield f"a length of {text!r}", raw.post(b"", "Content-Length: " + text), 400, PAGE
    yield "a length of 30 digits", raw.post(b"", "Content-Length: " + "9" * 30), 413, PAGE
    yield "a length of 19 digits", raw.post(b"", "Content-Length: " + "9" * 19), 400, JSON
    yield "a length of 18 digits", raw.post(b"", "Content-Length: " + "9" * 18), 413, JSON
    yield "a length of 11 MB", raw.post(b"", "Content-Length: 11000000"), 413, JSON


def chunks(raw):
    yield "a chunk of 2^68 bytes", raw.post(b"f" * 17 + b"\r\n", CHUNKED), 413, PAGE
    yield "a chunk size that is none", raw.post(b"xyz\r\n{}\r\n0\r\n\r\n", CHUNKED), 400, PAGE
    yield "a negative chunk size", raw.post(b"-2\r\n{}\r\n0\r\n\r\n", CHUNKED), 400, PAGE
    yield "a chunk longer than its size", raw.post(b"1\r\n{}\r\n0\r\n\r\n", CHUNKED), 400, PAGE
    yield "a trailer of 100 KB", \
        raw.post(b"2\r\n{}\r\n0\r\nX: " + b"x" * 100000 + b"\r\n\r\n", CHUNKED), 431, PAGE
    yield "10,000 trailers", \
        raw.post(b"2\r\n{}\r\n0\r\n" + b"X: x\r\n" * 10000 + b"\r\n", CHUNKED), 431, PAGE
    yield "a trailer that is a key", \
        raw.post(b"2\r\n{}\r\n0\r\nAuthorization: x\r\n\r\n", CHUNKED), 200, DONE
    yield "100,000 chunks of a byte", raw.post(
        b"1\r\n{\r\n" + b"1\r\n \r\n" * 100000 + b"1\r\n}\r\n0\r\n\r\n", CHUNKED), 200, DONE
    yield "11 MB in chunks", \
        raw.post((b"10000\r\n" + b" " * 65536 + b"\r\n") * 168 + b"0\r\n\r\n", CHUNKED), 413, JSON


def bodies(raw):
    yield "lists 100,000 deep", sized(raw, b"[" * 100000), 400, JSON
    yield "objects 100,000 deep", sized(raw, b'{"a":' * 100000), 400, JSON
    yield "closed lists 1,000 deep", sized(raw, b'{"a":' + b"[" * 1000 + b"]" * 1000 + b"}"), \
        400, JSON
    for name, number in (("1e400", b"1e400"), ("-1e400", b"-1e400"), ("400 digits", b"9" * 400),
                         ("100,000 digits", b"9" * 100000), ("1e-400", b"1e-400"),
                         ("2^64", b"18446744073709551616"), ("-2^63", b"-9223372036854775808")):
        yield f"a number of {name}", sized(raw, b'{"limit": %s}' % number), 422, JSON
    for name, text in (("half a surrogate", b'"\\ud800"'), ("NaN", b"NaN"), ("01", b"01"),
                       ("a NUL in a text", b'"\0"'), ("no UTF-8", b'"\xc0\xae\xff"'),
                       ("a surrogate in UTF-8", b'"\xed\xa0\x80"'), ("a tab", b'"\t"')):
        yield name, sized(raw, b'{"search": %s}' % text), 400, JSON
    yield "a key twice", sized(raw, b'{"limit": 1, "limit": 2}'), 400, JSON
    yield "a byte-order mark", sized(raw, b"\xef\xbb\xbf{}"), 400, JSON
    yield "two documents", sized(raw, b"{} {}"), 400, JSON
    yield "a list", sized(raw, b"[]"), 422, JSON
    yield "another type", \
        sized(raw, b"<a/>").replace(b"application/json", b"text/xml"), 415, JSON
    yield "no type", sized(raw, b"{}").replace(JSON_TYPE.encode(), b""), 200, DONE


def hang_up(raw, data, is_reset, bytes_read=0):
    """Send and, perhaps, read a little; then close, politely or not."""
    with socket.create_connection(("127.0.0.1", raw.port), 60) as link:
        if is_reset:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        link.sendall(data)
        if bytes_read:
            link.recv(bytes_read)


def hang_ups(raw, whole):
    """After the line, within it, after the head, within the body, before and within the reply."""
    head = whole.index(b"\r\n\r\n") + 4
    for size in (0, 1, whole.index(b"\r\n"), head // 2, head - 1, head, (head + len(whole)) // 2,
                 len(whole) - 1, len(whole)):
        for is_reset in (False, True):
            hang_up(raw, whole[:size], is_reset)
    for is_reset in (False, True):
        hang_up(raw, whole, is_reset, 1)
        hang_up(raw, whole, is_reset, 100)


def hang_up_requests(raw):
    """name, a whole request"""
    form = (b'--x\r\nContent-Disposition: form-data; name="file"; filename="m.tar.gz"\r\n\r\n'
            + b"a" * 200000 + b"\r\n--x--\r\n")
    yield "a list", sized(raw, b'{"search": "abc"}')
    yield "chunks", raw.post(b"2\r\n{}\r\n" * 3 + b"0\r\n\r\n", CHUNKED)
    yield "a reply of 300 KB", raw.get("/openapi.json")
    yield "an uploaded model", sized(raw, form).replace(
        b"/v1/namespaces/list", b"/v1/namespaces/abused/models").replace(
            b"application/json", b"multipart/form-data; boundary=x")
    yield "three requests at once", raw.get("/v1/namespaces") * 3


def check_cases(raw, client, name, cases):
    for what, data, status, wording in cases:
        with lib.check(f"{name}: {what}: {status}, {wording}"):
            got = raw.exchange(data)
            lib.equal(status_of(got), status, f"the status of {got[:300]!r}")
            lib.equal(is_enveloped(got), wording == JSON, f"whether {got[:400]!r} is {JSON}")
            if wording == JSON:
                lib.equal(got.count(b"HTTP/1.1 "), 1, "replies")
            started = time.monotonic()
            client.get("/v1/health/liveness").expect(200)
            assert time.monotonic() - started < AT_ONCE_S, "it no longer answers at once"


def check_silent(raw, client):
    """What can be neither obeyed nor refused is closed in the end, and costs nothing till then."""
    cases = {"TLS on a plain port": bytes.fromhex("16030100a5010000a10303") + bytes(200),
             "no HTTP at all": b"hello\r\n\r\n",
             "a head without end": raw.get("/v1/namespaces")[:-2],
             "a chunk size without end": raw.post(b"0" * 100000, CHUNKED),
             "a chunk extension of 100 KB": raw.post(b"2;" + b"x" * 100000, CHUNKED),
             "a chunk of 2^64 - 1 bytes": raw.post(b"f" * 16 + b"\r\n{", CHUNKED),
             "a body that never comes": raw.post(b"{", "Content-Length: 9")}
    links = {}
    for name, data in cases.items():
        links[name] = socket.create_connection(("127.0.0.1", raw.port), 60)
        links[name].setblocking(False)
        links[name].send(data)
    started = time.monotonic()
    for name, link in links.items():
        with lib.check(f"{name} is closed without a word"):
            link.settimeout(120)
            try:
                got = link.recv(1000)
            except ConnectionResetError:
                got = b""
            lib.equal(got, b"", "the reply")
            assert time.monotonic() - started < 120, "it took too long"
        link.close()
    client.get("/v1/namespaces").expect(200)


def check_connections(raw, client):
    for name, whole in hang_up_requests(raw):
        with lib.check(f"hanging up at every stage of {name} harms nobody"):
            for _ in range(3):
                hang_ups(raw, whole)
            client.get("/v1/namespaces").expect(200)
    with lib.check("large bodies that are given up leave room for others"):
        # All that is held for bodies is 512 MiB: 60 of these would be more.
        begun = raw.post(b" " * (9 << 20), f"Content-Length: {10 << 20}")
        for _ in range(60):
            hang_up(raw, begun, False)
        started, status = time.monotonic(), 503
        while status == 503 and time.monotonic() - started < 60:
            status = status_of(raw.exchange(sized(raw, b"{" + b" " * (9 << 20) + b"}")))
        lib.equal(status, 200)
    with lib.check("50 pipelined requests are answered in their order"):
        ids = [f"pipe-{i}" for i in range(50)]
        last = raw.get("/v1/namespaces", "X-Request-Id: " + ids[-1], "Connection: close")
        with socket.create_connection(("127.0.0.1", raw.port), 60) as link:
            link.sendall(b"".join(raw.get("/v1/namespaces", "X-Request-Id: " + name)
                                  for name in ids[:-1]) + last)
            got = b""
            while piece := link.recv(65536):
                got += piece
        lib.equal(re.findall(rb"(?i)x-request-id: (pipe-\d+)", got), [x.encode() for x in ids])
    with lib.check("an answered Expect comes before the body, and a refusal instead of it"):
        for path, wanted in (("/v1/namespaces/list", 100), ("/v1/nothing", 404)):
            data = raw.post(b"", "Content-Length: 100000", "Expect: 100-continue")
            got = raw.exchange(data.replace(b"/v1/namespaces/list", path.encode()),
                               lambda got: b"\r\n\r\n" in got)
            lib.equal(status_of(got), wanted, f"the status of {got[:200]!r}")
    with lib.check("1,000 idle connections keep nobody waiting"):
        links = [socket.create_connection(("127.0.0.1", raw.port), 60) for _ in range(1000)]
        started = time.monotonic()
        client.get("/v1/namespaces").expect(200)
        assert time.monotonic() - started < AT_ONCE_S, "it no longer answers at once"
        for link in links:
            link.close()
    with lib.check("100 connections that trickle their heads keep nobody waiting, and are cut"):
        links = [socket.create_connection(("127.0.0.1", raw.port), 60) for _ in range(100)]
        started, cut = time.monotonic(), 0
        while links and time.monotonic() - started < 120:
            client.get("/v1/health/liveness").expect(200)
            for link in list(links):
                try:
                    link.sendall(b"G" if link.getsockname()[1] % 2 else b"X-A: b\r\n")
                    link.settimeout(0.001)
                    if link.recv(1000) == b"":
                        raise ConnectionResetError
                except TimeoutError:
                    pass
                except OSError:
                    link.close()
                    links.remove(link)
                    cut += 1
            select.select(links, [], [], 0.5) # The next byte of each, unless one is cut before.
        lib.equal(cut, 100, "connections cut")


def check_order(client, other_key):
    """Of several faults the first of this order is told."""
    path = "/v1/buckets"

    def post(name, status, where=path, body=b"{broken", **headers):
        names = {key.replace("_", "-"): value for key, value in headers.items()}
        with lib.check(f"order: {name}"):
            client.call("POST", where, body, headers=names).expect(status)

    wrong_type, no_key = {"Content_Type": "text/xml"}, {"Authorization": "Bearer sk_none"}
    reader = {"Authorization": "Bearer " + other_key}
    nowhere, big = {"X_Namespace": "ns_none"}, b"{" + b" " * (11 << 20)
    post("an unknown route before the key", 404, "/v1/nothing", **no_key, **wrong_type)
    with lib.check("order: the method before the key"):
        client.call("PATCH", path, b"{broken", headers={"Authorization": "Bearer x"}).expect(405)
    post("the key before the type", 401, **no_key, **wrong_type, **nowhere)
    post("the permission before the type", 403, **reader, **wrong_type, **nowhere)
    post("the type before the size", 415, path, big, **wrong_type, **nowhere)
    post("the size before the namespace", 413, path, big, **nowhere)
    post("the namespace before the body", 404, path, b'{"bucket_name": 5}', **nowhere)
    post("the JSON before its fields", 400, path, b'{"bucket_name": 5')
    post("the fields last", 422, path, b'{"bucket_name": 5}')


def check_texts(client):
    client.make("bucket", "texts", bucket_schema={"properties": {"content": {"type": "text"}}})
    client.make("collection", "chunks", source={"type": "bucket", "bucket_ids": [
        client.get("/v1/buckets/texts").expect(200)["bucket_id"]]}, feature_extractor={
            **lib.BOTH[0], "input_mappings": {"text": "content"},
            "parameters": {"split_by": "words", "chunk_size": 4000}})
    texts = {"0 bytes": "", "10 MB": "green tea " * 1000000, "only blanks": " \n\t" * 99,
             "only unknown tokens": "\u16a0\u16a2\U0001f9ff\U0001f9ff \u2603\u2603 \ue000" * 50}
    for name, text in texts.items():
        with lib.check(f"a text of {name} is extracted or refused with a reason"):
            reply = client.post("/v1/buckets/texts/objects", lib.text_object(text))
            assert reply.status in (200, 422), f"{reply.status}: {reply.text[:200]!r}"
            if reply.status == 200:
                batch, task = client.submit("texts", [reply.json["object_id"]])
                status = client.wait_task(task, 120)["status"]
                failed = client.get(f"/v1/buckets/texts/batches/{batch}/failed-documents"
                                    ).expect(200)["total"]
                assert status == "COMPLETED" or failed == 1, f"{status}, {failed} failed"
            if name == "10 MB":
                lib.equal((status, len(client.documents("chunks"))), ("COMPLETED", 500))


def main():
    server = lib.Server().start()
    client = server.tenant("abused")
    client.namespace = client.make("namespace", "abused", feature_extractors=lib.BOTH)
    raw = Raw(server, client.key)
    reader = client.post("/v1/organizations/users/owner%40abused.local/api-keys",
                         {"name": "reads", "permissions": ["read"]}).expect(200)["key"]
    trickling = threading.Thread(target=check_connections, args=(raw, client))
    silent = threading.Thread(target=check_silent, args=(raw, client))
    before = server.resident()
    silent.start()
    for name, cases in (("head", heads), ("path", paths), ("length", lengths), ("chunk", chunks),
                        ("body", bodies)):
        check_cases(raw, client, name, cases(raw))
    check_order(client, reader)
    trickling.start()
    check_texts(client)
    trickling.join()
    silent.join()
    with lib.check("its memory is bounded"):
        grown = server.resident() - before
        print(f"it has grown by {grown >> 20} MiB")
        assert grown < GROWN_MAX, f"it has grown by {grown >> 20} MiB"
    with lib.check("it stops as it should"):
        lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
