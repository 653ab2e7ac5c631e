"""The service as a process of its own, on loopback and a port that is free, for those who must end it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit


class Server:
    """`reelated serve` as a process."""

    program = ("reelated", "serve", "--port", "0")
    """What Python runs as a module, with its options."""

    def __init__(self, store, models, *words, log=None, cwd=None):
        env = os.environ | {"REELATED_STORE": store, "REELATED_MODELS": str(models), "NUMBA_NUM_THREADS": "1"}
        env["REELATED_POLL"] = "0.2"
        command = [sys.executable, "-W", "error", "-m", *self.program, *map(str, words)]
        self.log = open(log or os.devnull, "ab")  # noqa: SIM115
        told = {"stdout": subprocess.PIPE, "stderr": self.log, "text": True}
        self.process = subprocess.Popen(command, env=env, cwd=cwd or Path(__file__).parents[1], **told)
        for line in self.process.stdout:
            if "running at" in line:
                self.address = urlsplit(line.split()[4]).netloc
                break
        else:
            raise AssertionError(f"it did not start: {self.process.wait()}")
        while self.ask("GET", "/health/live")[0] != 200:
            threading.Event().wait(0.05)

    def ask(self, method, path, body=None, timeout=60):
        """Send one request; return status and what was answered, or (None, why) where there was no answer."""
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        except (OSError, http.client.HTTPException) as error:
            return None, repr(error)
        finally:
            connection.close()

    def kill(self):
        """End it at once, as if the power had gone."""
        self.process.send_signal(signal.SIGKILL)
        self._gone()

    def stop(self):
        """Ask it to end, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self._gone()

    def _gone(self):
        code = self.process.wait(120)
        self.process.stdout.close()
        self.log.close()
        return code
