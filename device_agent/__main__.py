"""Start the agent: `python -m device_agent --state-dir DIR --runner PATH`.

It listens on 127.0.0.1. With --listen HOST:PORT it listens beyond loopback, always with TLS.
While it serves there is a file DIR/agent.json, `{"pid": …, "port": …, "token_file": …}`, which
also names the builds of the agent and the runner. SIGTERM and SIGINT end the agent once the
running calls have ended, after DRAIN_S at most. If it cannot start, it says why and exits with
code 2.

DIR keeps the token, the serial, the highest lease tokens seen, programs/, and results/, which are
not acknowledged yet. With --listen it also keeps tls.pem and the hash of an unused enrolment code.
The runner is a copy in DIR/runner/, so the original may be built again meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc

from device_agent.access.auth import Token
from device_agent.access.enrolment import Enrolment, new_code
from device_agent.runner_copy import copy_runner
from device_agent.runner_process import Runner
from device_agent.servicer import Agent
from latlab.common.agent_sources import agent_sources
from latlab.common.channel import PING_OPTIONS
from latlab.common.files import OLD_PART_S, remove_parts, replacing
from latlab.common.installed_files import content_sha256
from latlab.common.log import start_logging
from latlab.common.program_store import ProgramStore
from latlab.common.server import add_health_and_reflection, make_server
from latlab.convert.error_interceptor import ErrorInterceptor
from latlab.convert.token_interceptor import TokenInterceptor
from latlab.domain.errors import LabError
from latlab.v1 import device_agent_pb2, device_agent_pb2_grpc

DRAIN_S = 3.0
TLS_FILE = "tls.pem"
TLS_NAME = "latlab-agent"  # the host asks for it by this name, whatever the address is
CODE_FILE = "enrolment_code_hash"
# Health only says that the agent serves, and a supervisor of processes need not hold their secrets.
# Enrolment gives a host the token.
_PUBLIC = ["/grpc.health.v1.Health/Check", "/latlab.v1.Enrolment/Enrol"]
_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
_PR_SET_NO_NEW_PRIVS = 38

_log = logging.getLogger(__name__)


class CannotStart(LabError):
    """The agent cannot start."""


def parse_arguments() -> argparse.Namespace:
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    parser = argparse.ArgumentParser(
        prog="latlab-agent",
        description="Run visits for the hosts that measure on this device.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        required=True,
        help="folder that keeps programs, results and the token",
    )
    serving = parser.add_mutually_exclusive_group(required=True)
    serving.add_argument("--runner", type=Path, help="path of the latlab-runner binary")
    serving.add_argument(
        "--new-code",
        action="store_true",
        help="print an enrolment code, which replaces the last one, and end",
    )
    listening = parser.add_mutually_exclusive_group()
    listening.add_argument(
        "--port", type=int, default=0, help="port of 127.0.0.1 to listen on; 0 chooses a free one"
    )
    listening.add_argument(
        "--listen",
        type=host_and_port,
        metavar="HOST:PORT",
        help="address to listen on with TLS, for enrolled hosts",
    )
    parser.add_argument(
        "--max-program-bytes", type=int, default=1 << 30, help="most bytes of one program"
    )
    parser.add_argument(
        "--max-programs-bytes", type=int, default=8 << 30, help="most bytes of all programs"
    )
    parser.add_argument(
        "--runner-memory-bytes",
        type=int,
        default=min(8 << 30, memory_bytes),
        help="most bytes of a runner's address space",
    )
    return parser.parse_args()


def host_and_port(text: str) -> str:
    """Return a text like "HOST:PORT" unchanged. Raises ValueError for any other."""
    if not re.fullmatch(r".+:\d{1,5}", text):
        raise ValueError
    return text


@contextlib.contextmanager
def locked(state_directory: Path) -> Iterator[None]:
    """Lock the state directory. Raises CannotStart if another agent holds it."""
    state_directory.mkdir(parents=True, exist_ok=True)
    with (state_directory / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CannotStart(
                f"the agent of process {lock.read().strip()} already uses {state_directory}:"
                " stop it, or choose another --state-dir"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def load_runner(options: argparse.Namespace) -> Runner:
    try:
        runner = copy_runner(options.runner.resolve(), options.state_dir / "runner")
        return Runner(runner, options.runner_memory_bytes, options.state_dir)
    except (OSError, ValueError, LookupError, subprocess.SubprocessError) as error:
        raise CannotStart(f"{options.runner} is not a working runner: {error}") from error


def listen(
    server: grpc.Server, options: argparse.Namespace, token: Token, on_enrolled: Callable[[], None]
) -> int:
    """Make the server listen where the options say, and return the port."""
    address = options.listen or f"127.0.0.1:{options.port}"
    try:
        if options.listen is None:
            return server.add_insecure_port(address)
        enrolment = Enrolment(options.state_dir / CODE_FILE, token, on_enrolled)
        device_agent_pb2_grpc.add_EnrolmentServicer_to_server(enrolment, server)
        return server.add_secure_port(address, tls_credentials(options.state_dir))
    except RuntimeError as error:
        raise CannotStart(f"cannot listen on {address}: {error}") from error


def tls_credentials(state_directory: Path) -> grpc.ServerCredentials:
    is_first_start = not (state_directory / TLS_FILE).exists()
    pem, fingerprint = load_or_create_tls(state_directory)
    if is_first_start:
        print_new_code(state_directory, fingerprint)
    return grpc.ssl_server_credentials([(pem, pem)])


def load_or_create_tls(state_directory: Path) -> tuple[bytes, str]:
    """Return the agent's key and certificate as PEM, and the certificate's fingerprint."""
    # Loopback, and so every phone, needs no TLS: the Python of the bundle lacks it.
    from latlab.common.certificates import certificates_in, fingerprint, load_or_create

    pem = load_or_create(state_directory / TLS_FILE, TLS_NAME)
    [certificate] = certificates_in(pem)
    return pem.encode(), fingerprint(certificate)


def print_new_code(state_directory: Path, fingerprint: str) -> None:
    """Print a new enrolment code to standard output, and never to the log."""
    code = new_code(state_directory / CODE_FILE, fingerprint)
    print("This code enrols the board once, with `latlab devices add HOST:PORT CODE`:")
    print(code, flush=True)


def serve(options: argparse.Namespace) -> None:
    # The signals are blocked in every thread, and waited for below. A handler would run only once
    # the main thread wakes, and a signal may reach one of gRPC's threads.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    # No runner may gain more rights than the agent. Later threads and processes inherit this.
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)

    programs = ProgramStore(
        options.state_dir / "programs", options.max_program_bytes, options.max_programs_bytes
    )
    runner = load_runner(options)
    agent = Agent(options.state_dir, runner, programs)
    token_file = options.state_dir / "token"
    token = Token(token_file)
    server = make_server(
        [TokenInterceptor(token.is_token, _PUBLIC), ErrorInterceptor()], PING_OPTIONS
    )
    device_agent_pb2_grpc.add_DeviceAgentServicer_to_server(agent, server)
    service = device_agent_pb2.DESCRIPTOR.services_by_name["DeviceAgent"].full_name
    health = add_health_and_reflection(server, [service])
    # The host that has enrolled the board has it, and no longer the one before.
    port = listen(server, options, token, agent.end_lease)
    server.start()

    announcement = options.state_dir / "agent.json"
    ready = {
        "pid": os.getpid(),
        "port": port,
        "token_file": str(token_file.resolve()),
        "sources": content_sha256(agent_sources(Path(__file__).parents[1])),
        "runner_build": runner.build,
    }
    with replacing(announcement, mode=0o600) as draft:
        draft.write_bytes(json.dumps(ready).encode())
    _log.info("serving on %s", options.listen or f"127.0.0.1:{port}")
    signal.sigwait(_STOP_SIGNALS)
    announcement.unlink(missing_ok=True)
    health.enter_graceful_shutdown()
    server.stop(DRAIN_S).wait()
    agent.close()


def main() -> int:
    start_logging()
    options = parse_arguments()
    options.state_dir = options.state_dir.resolve()
    try:
        if options.new_code:
            options.state_dir.mkdir(parents=True, exist_ok=True)
            print_new_code(options.state_dir, load_or_create_tls(options.state_dir)[1])
            return 0
        with locked(options.state_dir):
            # Left by an agent that was killed.
            (options.state_dir / "agent.json").unlink(missing_ok=True)
            remove_parts(options.state_dir, OLD_PART_S)
            serve(options)
    except LabError as error:
        print(f"latlab-agent: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
