"""An RTSP server for tests, run by the system's Python: what comes as RTP to one port is given to whoever asks.

Debian: apt-get install gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad python3-gi ffmpeg
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PIPELINE = (
    '( udpsrc address=127.0.0.1 port={port} caps="application/x-rtp,media=video,clock-rate=90000,encoding-name=H264,'
    'payload=96" ! rtph264depay ! h264parse config-interval=1 ! rtph264pay name=pay0 pt=96 config-interval=1 )'
)


def main() -> None:
    Gst.init(None)
    if "--check" in sys.argv:
        names = ("udpsrc", "rtph264depay", "h264parse", "rtph264pay")
        sys.exit(not all(Gst.ElementFactory.find(name) for name in names))
    port, rtp_port = sys.argv[1:]
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE.format(port=rtp_port))
    factory.set_shared(True)
    server.get_mount_points().add_factory("/live", factory)
    server.attach(None)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
