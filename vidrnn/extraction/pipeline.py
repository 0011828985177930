"""Videos to features in memory: decoder processes feed the networks, and batches are filled across videos and passes.

Each decoder reads one video at a time, once for all passes, and hands over frames in chunks through memory that it
shares with this process. Here they are copied into the batch that is being filled, and their place is free again. Held
at any time are three chunks for each decoder, the batch that is being filled, and the batches in the lanes of the
network. So memory follows neither the number nor the length of the videos.
"""

import contextlib
from collections.abc import Generator, Iterable, Sequence

from vidrnn.device import choose_batch_size, choose_device
from vidrnn.errors import ConfigError
from vidrnn.extraction.batches import Throughput
from vidrnn.extraction.collector import Collector, OnCompared, Result
from vidrnn.extraction.decode_worker import Reader
from vidrnn.extraction.drawing import DrawVideo, draw_video
from vidrnn.extraction.drivers import Drivers
from vidrnn.extraction.embedder import Embedder, Pass
from vidrnn.extraction.gathering import Gather, InMemory
from vidrnn.extraction.jobs import Failure, Job
from vidrnn.extraction.readings import Readings
from vidrnn.processes import usable_cores
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.store.video_features import VideoFeatures

_MOST_FRAMES_OF_CHUNK = 32


def num_workers(settings: ExtractionSettings) -> int:
    """How many videos are decoded at once: as asked, else one per core that this process may use."""
    return settings.workers or usable_cores()


def decoding_gpu(settings: ExtractionSettings) -> int | None:
    """Number of the GPU whose circuits decode, None for the CPU.

    Raises:
        ConfigError: ``decoder: nvdec`` without a GPU.
    """
    if settings.decoder == "cpu":
        return None
    device = choose_device(settings.device)
    if device.type != "cuda":
        raise ConfigError("extraction.decoder: nvdec decodes on an NVIDIA GPU, and the device is a CPU; use 'cpu'")
    return device.index or 0


def embed_videos(
    jobs: Iterable[Job | None],
    embedder: Embedder,
    *,
    settings: ExtractionSettings,
    throughput: Throughput | None = None,
    draw_one: DrawVideo = draw_video,
) -> Generator[tuple[str, VideoFeatures | Failure], None, None]:
    """`embed_passes` for a single pass: (path, features or failure) of each video."""
    results = embed_passes(jobs, [embedder], settings=settings, throughput=throughput, draw_one=draw_one)
    with contextlib.closing(results):
        for path, found in results:
            yield path, found[0]


def embed_passes(
    jobs: Iterable[Job | None],
    passes: Sequence[Pass],
    *,
    settings: ExtractionSettings,
    throughput: Throughput | None = None,
    draw_one: DrawVideo = draw_video,
    gather: Gather = InMemory,
    on_compared: OnCompared = lambda _path, _number, _change: None,
) -> Generator[tuple[str, Result], None, None]:
    """Make all passes over many videos, of which each is read once; one that fails, crashes or hangs costs only itself.

    Args:
        jobs: taken one by one, so the iterable may be endless; None says that there is nothing to do right now.
        passes: what is wanted of them; a job says which of these it still needs.
        settings: batch size, number of decoders and their limits.
        throughput: kept up to date while the run goes on.
        draw_one: how a decoder process draws the pictures of a file.
        gather: where the features of pictures are kept until a video is whole.
        on_compared: as it says, for features that jobs bring along; in the thread that takes the results.

    Yields:
        (path, features or failure of each pass), each video once, in the order in which they finish.
    """
    readings = Readings.of(passes)
    size = choose_batch_size(settings.batch_size, settings.device)
    chunk_size = min(max(size // 2, 1), _MOST_FRAMES_OF_CHUNK)
    gpu = decoding_gpu(settings)
    reader = Reader(readings.drawings, readings.streams, chunk_size, draw_one, gpu, readings.changes)
    with Drivers(iter(jobs), readings, reader, settings=settings, workers=num_workers(settings)) as drivers:
        speed = throughput or Throughput()
        with Collector(
            passes, readings, size=size, throughput=speed, on_compared=on_compared, gather=gather
        ) as collector:
            yield from collector.collect(drivers.messages, running=drivers.number)
        drivers.raise_error()
