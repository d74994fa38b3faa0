# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium, told what to do over a pair of pipes (its DevTools protocol): no driver and no
package is needed. A Browser has Tabs; a Tab waits for what it is asked to see."""
import atexit
import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--no-first-run", "--no-default-browser-check", "--hide-scrollbars", "--mute-audio",
         "--remote-debugging-pipe"]
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "Space": 32}


class Browser:
    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="sluice-chromium-")
        read, self.to = os.pipe()
        self.back, write = os.pipe()
        # The shell puts the pipes where Chromium looks for them: descriptors 3 and 4.
        self.process = subprocess.Popen(
            ["sh", "-c", f'exec "$0" "$@" 3<&{read} 4>&{write}', "chromium", *FLAGS,
             f"--user-data-dir={self.profile}", "about:blank"],
            pass_fds=(read, write), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(read)
        os.close(write)
        self.ids, self.rest, self.replies, self.tabs = itertools.count(1), b"", {}, {}
        atexit.register(self.close)
        self.version = self.send("Browser.getVersion")["product"]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)
        shutil.rmtree(self.profile, ignore_errors=True)

    def read(self, seconds):
        """Take in what has come, waiting at most so long for something."""
        if not select.select([self.back], [], [], seconds)[0]:
            return
        data = os.read(self.back, 1 << 20)
        if not data:
            raise AssertionError("Chromium has ended")
        *messages, self.rest = (self.rest + data).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self.replies[message["id"]] = message
            elif message.get("sessionId") in self.tabs:
                self.tabs[message["sessionId"]].on_event(message["method"], message["params"])

    def send(self, method, session=None, **params):
        number = next(self.ids)
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data, deadline = json.dumps(message).encode() + b"\0", time.monotonic() + 60
        while data:
            data = data[os.write(self.to, data):]
        while number not in self.replies:
            assert time.monotonic() < deadline, f"no answer to {method}"
            self.read(1)
        reply = self.replies.pop(number)
        if "error" in reply:
            raise AssertionError(f"{method}: {reply['error']}")
        return reply["result"]

    def tab(self):
        """A tab with cookies of its own."""
        context = self.send("Target.createBrowserContext")["browserContextId"]
        target = self.send("Target.createTarget", url="about:blank", browserContextId=context)
        return Tab(self, target["targetId"])


class Tab:
    def __init__(self, browser, target):
        self.browser, self.target = browser, target
        self.session = browser.send("Target.attachToTarget", targetId=target,
                                    flatten=True)["sessionId"]
        self.errors, self.bytes, self.requests = [], 0, []
        browser.tabs[self.session] = self
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(domain + ".enable")

    def on_event(self, method, params):
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            entry = params["entry"]
            self.errors.append(f"{entry['text']} {entry.get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Network.loadingFinished":
            self.bytes += int(params["encodedDataLength"])

    def send(self, method, **params):
        return self.browser.send(method, self.session, **params)

    def run(self, script):
        """What an expression is, or its promise comes to."""
        reply = self.send("Runtime.evaluate", expression=script, awaitPromise=True,
                          returnByValue=True, userGesture=True)
        if "exceptionDetails" in reply:
            details = reply["exceptionDetails"]
            raise AssertionError(details.get("exception", {}).get("description", details["text"]))
        return reply["result"].get("value")

    def wait(self, what, script, seconds=60):
        """Until an expression is true; looked at again and again, also while a page loads."""
        deadline, last = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            try:
                last = self.run(script)
                if last:
                    return last
            except AssertionError as error:
                last = error
            self.browser.read(0.05)
        raise AssertionError(f"not within {seconds} s: {what} ({last}); the page says:\n"
                             + self.text()[:1500])

    def text(self):
        return self.run("document.body ? document.body.innerText : ''") or ""

    def sees(self, words, seconds=60):
        self.wait(f"{words!r} is to be seen",
                  f"document.body.innerText.includes({json.dumps(words)})", seconds)

    def go(self, url):
        self.send("Page.navigate", url=url)

    def size(self, width, height, is_phone=False):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=is_phone)

    def scheme(self, name):
        self.send("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": name}])

    def key(self, name, modifiers=0):
        text = {"Enter": "\r", "Space": " "}.get(name)
        common = {"key": " " if name == "Space" else name, "code": name, "modifiers": modifiers,
                  "windowsVirtualKeyCode": KEYS[name]}
        self.send("Input.dispatchKeyEvent", type="keyDown", **common,
                  **({"text": text} if text else {}))
        self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text):
        self.send("Input.insertText", text=text)

    def click(self, selector):
        """The first element of a selector, as a mouse would."""
        self.wait(f"{selector} is there", f"!!document.querySelector({json.dumps(selector)})")
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def press(self, words, within="main"):
        """The first button or link of these words."""
        find = (f"[...document.querySelectorAll({json.dumps(within)} + ' button, ' +"
                f" {json.dumps(within)} + ' a')].find(e => e.textContent.trim() === "
                f"{json.dumps(words)} && !e.disabled)")
        self.wait(f"button {words!r} in {within}", f"!!{find}")
        self.run(f"{find}.click()")

    def shoot(self, path):
        reply = self.send("Page.captureScreenshot", format="webp" if path.endswith("webp") else
                          "png", **({"quality": 82} if path.endswith("webp") else {}))
        with open(path, "wb") as file:
            file.write(base64.b64decode(reply["data"]))
