# SPDX-License-Identifier: Apache-2.0
"""What of the served API the SDK's clients ran: docs/api.md against what went over the wire.

Supported is a row of docs/api.md whose answer is a success. The generated client has the operations
that its classes can serialize; the high-level client has its public methods. Each must have been
run, or be in a list of exceptions with its reason.
"""
import inspect
import os
import re
from urllib.parse import urlsplit

import mixpeek
import mixpeek.api
import sluice_testlib as lib
from mixpeek import rest
from mixpeek._client.client import MixpeekAPIError

ROW = re.compile(r"^\| (\w+) `([^`]+)` \| [^|]+ \| ([^|]+) \|", re.M)
CALL = re.compile(r"method='(\w+)'.*?resource_path='([^']+)'", re.S)


def supported():
    """{(verb, path with {} for its parameters): success} of docs/api.md."""
    with open(os.path.join(lib.ROOT, "docs/api.md"), encoding="utf-8") as file:
        rows = ROW.findall(file.read())
    return {(verb, shape(path)): answer for verb, path, answer in rows if answer.startswith("2")}


def shape(path):
    return re.sub(r"{[^}]*}", "{}", path).rstrip("/")


def operations():
    """{(verb, shape): [Class.method]} of the generated client."""
    found = {}
    for _, module in inspect.getmembers(mixpeek.api, inspect.ismodule):
        for class_name, api in inspect.getmembers(module, inspect.isclass):
            for name, function in vars(api).items():
                if class_name.endswith("Api") and re.fullmatch(r"_\w+_serialize", name):
                    verb, path = CALL.search(inspect.getsource(function)).groups()
                    methods = found.setdefault((verb, shape(path)), [])
                    methods.append(f"{class_name}.{name[1:-10]}")
    return found


class Wire:
    """Every request of the generated client that succeeded, as verb and path."""

    def __init__(self):
        self.succeeded = set()
        send = rest.RESTClientObject.request

        def request(client, method, url, *arguments, **options):
            reply = send(client, method, url, *arguments, **options)
            if reply.status < 300:
                self.succeeded.add((method, urlsplit(url).path.rstrip("/")))
            return reply
        rest.RESTClientObject.request = request

    def shapes(self, known):
        """Which of the known operations these were: literal segments win."""
        patterns = sorted(known, key=lambda row: row[1].count("{}"))
        found = set()
        for verb, path in self.succeeded:
            for row in patterns:
                if row[0] == verb and re.fullmatch(row[1].replace("{}", "[^/]+"), path):
                    found.add(row)
                    break
        return found


def report_generated(wire, exceptions):
    """One line of counts, one check. `exceptions`: (verb, shape) -> why it is not run here."""
    works, has = supported(), operations()
    ran = wire.shapes(works)
    offered = works.keys() & has.keys()
    left = offered - ran - exceptions.keys()
    print(f"generated client {mixpeek.__version__}: {len(offered & ran)} operations run of "
          f"{len(works)} supported; the SDK has none for {len(works.keys() - has.keys())}; "
          f"{len(exceptions.keys() & offered)} excepted", flush=True)
    for verb, path in sorted(exceptions.keys() & offered):
        print(f"  excepted: {verb} {path}: {exceptions[verb, path]}", flush=True)
    with lib.check(f"SDK {mixpeek.__version__}: every supported operation it has is run"):
        lib.equal(sorted(f"{verb} {path} ({', '.join(has[verb, path])})"
                         for verb, path in left), [], "operations not run")
        lib.equal(sorted(exceptions.keys() & ran), [], "exceptions that were run")


class Methods:
    """The public methods of the high-level client, and which of them returned."""

    def __init__(self, client):
        self.known, self.returned, self.client = set(), set(), client
        self.watch(client, "")

    def watch(self, owner, prefix):
        for name, value in inspect.getmembers(owner):
            if name.startswith("_"):
                continue
            if inspect.ismethod(value):
                self.known.add(prefix + name)
                setattr(owner, name, self.wrap(prefix + name, value))
            elif type(value).__module__.startswith("mixpeek._client"):
                self.watch(value, f"{prefix}{name}.")

    def wrap(self, name, method):
        def call(*arguments, **options):
            result = method(*arguments, **options)
            self.returned.add(name)
            return result
        return call

    def report(self, refusals):
        """`refusals`: method -> (arguments, options, status) of what the server refuses."""
        wrong = []
        for name in sorted(refusals.keys() & self.known):
            arguments, options, status = refusals[name]
            method = self.client
            for part in name.split("."):
                method = getattr(method, part)
            try:
                method(*arguments, **options)
                wrong.append(f"{name} is served")
            except MixpeekAPIError as error:
                if error.status != status:
                    wrong.append(f"{name}: {error.status}, not {status}")
        lib.equal(wrong, [], "refusals")
        refused = refusals.keys() & self.known
        print(f"high-level client {mixpeek.__version__}: {len(self.returned)} methods run of "
              f"{len(self.known)}; {len(refused)} refused with a stated code", flush=True)
        lib.equal(sorted(self.known - self.returned - refused), [], "methods not run")
