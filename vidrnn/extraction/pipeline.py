"""Videos to features in memory: decoder processes feed the networks, and batches are filled across videos and passes.

Each decoder reads one video at a time, once for all passes, and hands over frames in chunks through memory that it
shares with this process. Here they are copied into the batch that is being filled, and their place is free again. At
any time three chunks for each decoder, the batch that is being filled and those in the lanes of the network are held:
memory follows neither the number nor the length of the videos.
"""

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from vidrnn.device import choose_batch_size, choose_device
from vidrnn.errors import ConfigError
from vidrnn.extraction.batches import Throughput
from vidrnn.extraction.collector import Collector, Comparison, Flush, Message, OnCompared, Result
from vidrnn.extraction.decode_worker import Reader
from vidrnn.extraction.decoder import Decoder, StoppedError
from vidrnn.extraction.drawing import DrawVideo, draw_video
from vidrnn.extraction.embedder import Embedder, Pass
from vidrnn.extraction.gathering import Gather, InMemory
from vidrnn.extraction.jobs import Failure, Job
from vidrnn.extraction.readings import Readings
from vidrnn.processes import usable_cores
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.store.video_features import VideoFeatures

_QUEUED_CHUNKS = 4
_MOST_FRAMES_OF_CHUNK = 32
_PAUSE_S = 0.2  # before asking again for a job
_NO_MORE = Job("", Path(), ())


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
    messages: queue.Queue[Message] = queue.Queue(maxsize=_QUEUED_CHUNKS)
    waiting, lock, stop = iter(jobs), threading.Lock(), threading.Event()
    workers = num_workers(settings)
    with ThreadPoolExecutor(workers, thread_name_prefix="decoder") as pool:
        decoders = [Decoder(reader, settings=settings, stop=stop) for _ in range(workers)]
        drivers = [pool.submit(_drive, decoder, waiting, lock, messages, stop, readings) for decoder in decoders]
        for driver in drivers:  # a bug ends the run now, not when the other threads have done everything else
            driver.add_done_callback(lambda done: stop.set() if done.exception() else None)
        try:
            speed = throughput or Throughput()
            with Collector(
                passes, readings, size=size, throughput=speed, on_compared=on_compared, gather=gather
            ) as collector:
                yield from collector.collect(messages, running=workers)
        finally:
            stop.set()
            while not all(driver.done() for driver in drivers):  # some may wait for room in the queue
                with contextlib.suppress(queue.Empty):
                    messages.get(timeout=0.05)
        for driver in drivers:
            driver.result()  # an error that is no fault of a video ends the run


def _drive(
    decoder: Decoder,
    jobs: Iterator[Job | None],
    lock: threading.Lock,
    messages: "queue.Queue[Message]",
    stop: threading.Event,
    readings: Readings,
) -> None:
    """One thread: give its decoder process one video after the other."""
    try:
        while not stop.is_set():
            with lock:
                job = next(jobs, _NO_MORE)
            if job is _NO_MORE:
                return
            if job is None:
                messages.put(Flush())
                stop.wait(_PAUSE_S)
                continue
            if job.made:
                changes = decoder.compare(job.source, readings.made(job))
                messages.put(Comparison(job.path, changes))
                job = job.without([number for number, change in changes.items() if change is None])
                if not job.wanted:
                    continue
            job = replace(job)  # told apart from the others under way by its identity, and the same one may come twice
            messages.put(job)
            for message in decoder.decode(job, readings.wanted(job)):
                messages.put(message)
                del message  # else its frames would keep their place until the next ones come
                if stop.is_set():
                    return
    except StoppedError:
        return
    finally:
        decoder.close()
        messages.put(None)
