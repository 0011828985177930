"""Servers on loopback that send a clip for ever, and can be killed and started again at the same address."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av

_RTSP = Path(__file__).with_name("rtsp_server.py")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class HttpServer:
    """A transport stream over HTTP at the pace of the pictures, over and over; or silence."""

    def __init__(self, clip: Path, *, silent: bool = False) -> None:
        self.port, self._clip, self._silent = free_port(), clip, silent
        self._server: ThreadingHTTPServer | None = None
        self._closing = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/live.ts"

    def start(self) -> None:
        clip, silent = self._clip, self._silent
        closing = self._closing = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "video/mp2t")
                self.end_headers()
                try:
                    if silent:
                        closing.wait(120)
                    while not silent and not closing.is_set():
                        _send(clip, self, closing)
                except OSError:
                    pass

            def log_message(self, *_arguments: object) -> None:
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def kill(self) -> None:
        self._closing.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Writer:
    """What PyAV writes to."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler

    def write(self, piece: bytes) -> int:
        self._handler.wfile.write(piece)
        self._handler.wfile.flush()
        return len(piece)


def _send(clip: Path, handler: BaseHTTPRequestHandler, closing: threading.Event) -> None:
    started = time.monotonic()
    with av.open(str(clip)) as source, av.open(_Writer(handler), "w", format="mpegts") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is None or closing.is_set():
                continue
            time.sleep(max(0.0, started + float(packet.dts * stream.time_base) - time.monotonic()))
            packet.stream = copy
            target.mux(packet)


class RtspServer:
    """GStreamer's RTSP server, as Debian has it, in a process of its own; ffmpeg sends it the clip for ever."""

    def __init__(self, clip: Path) -> None:
        self.port, self._rtp_port, self._clip = free_port(), free_port(socket.SOCK_DGRAM), clip
        self._server: subprocess.Popen[str] | None = None
        self._sender: subprocess.Popen[bytes] | None = None

    @staticmethod
    def missing() -> str | None:
        """Why it cannot run here."""
        if shutil.which("ffmpeg") is None:
            return "no ffmpeg"
        found = subprocess.run(
            [_python(), str(_RTSP), "--check"], capture_output=True, text=True, timeout=60, check=False
        )
        return None if found.returncode == 0 else "no GStreamer RTSP server for Python, see rtsp_server.py"

    @property
    def address(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/live"

    def start(self) -> None:
        self._server = subprocess.Popen(
            [_python(), str(_RTSP), str(self.port), str(self._rtp_port)], stdout=subprocess.PIPE, text=True
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "ready\n"
        if self._sender is None:
            target = f"rtp://127.0.0.1:{self._rtp_port}?pkt_size=1200"
            self._sender = subprocess.Popen(
                ["ffmpeg", "-loglevel", "error", "-re", "-stream_loop", "-1", "-i", str(self._clip), "-an",
                 "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10", "-threads", "1",
                 "-f", "rtp", "-sdp_file", os.devnull, target],
                stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def kill(self) -> None:
        """Of the server, not of the sender: the camera goes on, and the way to it is gone."""
        if self._server is not None:
            self._server.send_signal(signal.SIGKILL)
            self._server.wait(20)
            self._server = None

    def close(self) -> None:
        self.kill()
        if self._sender is not None:
            self._sender.kill()
            self._sender.wait(20)


def _python() -> str:
    """The system's, which has the bindings of GStreamer."""
    return "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
