"""The service as a process of its own, on loopback and a port that is free, for those who must end it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
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


class Template:
    """A process that has loaded the modules of the service, and starts services as forks of itself.

    A start then takes a fraction of a second of processor time instead of several.
    """

    def __init__(self):
        command = [sys.executable, "-W", "error", "-c", "from service.process import fork_services; fork_services()"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        env = os.environ | {"NUMBA_NUM_THREADS": "1"}
        self.process = subprocess.Popen(command, cwd=Path(__file__).parents[1], env=env, **pipes)

    def start(self, store, models, *words, log=os.devnull):
        """Start a service; return it once it listens."""
        env = {"REELATED_STORE": store, "REELATED_MODELS": str(models), "REELATED_POLL": "0.2"}
        env["REELATED_PORT"] = "0"
        given = {"env": env, "words": list(map(str, words)), "log": str(log)}
        print(json.dumps(given), file=self.process.stdin, flush=True)
        pid = next(
            line for line in self.process.stdout if line.strip().isdecimal()
        )  # an earlier service may have ended
        return Forked(self, int(pid))

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Forked(Server):
    """A service that a `Template` has started."""

    def __init__(self, template, pid):
        self.pid = pid
        for line in template.process.stdout:
            if "running at" in line:
                self.address = urlsplit(line.split()[4]).netloc
                break
            if line.startswith("ended"):
                raise AssertionError("it did not start")
        while self.ask("GET", "/health/live")[0] != 200:
            threading.Event().wait(0.05)

    def kill(self):
        """End it at once."""
        self._end(signal.SIGKILL)

    def stop(self):
        """Ask it to end."""
        self._end(signal.SIGTERM)

    def _end(self, number):
        os.kill(self.pid, number)
        with suppress(ProcessLookupError):
            while True:  # the template collects it
                os.kill(self.pid, 0)
                threading.Event().wait(0.02)


def fork_services():
    """Fork one service for each line of standard input, and print its process id."""
    import reelated.cli.commands
    import reelated.cli.service_commands
    import reelated.store
    import reelated.web.server

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system collects the services that have ended
    for line in sys.stdin:
        given = json.loads(line)
        if pid := os.fork():
            print(pid, flush=True)
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.dup2(os.open(given["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
        os.environ.update(given["env"])
        sys.argv = ["reelated", "serve", *given["words"]]
        try:
            reelated.cli.main()
        finally:
            print("ended", flush=True)
            os._exit(0)
