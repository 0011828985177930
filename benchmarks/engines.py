"""The frozen default backbone in every engine that was considered: frames per second and similarity to eager.

Engines take turns over several rounds on the same batch, medians are printed. ONNX Runtime is timed when `onnx`,
`onnxscript` and `onnxruntime` are installed; vidrnn does not need them.

Run:  python -m benchmarks.engines
"""

import importlib.util
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import draw_clips, make_parser, median_ratio, print_json, print_machine, seconds_of
from vidrnn.backbones.engines import Compiled, Eager, Engine, OpenVino, similarity
from vidrnn.backbones.network import Network
from vidrnn.backbones.networks import build_network
from vidrnn.frames.views import Views
from vidrnn.settings.features import FeatureSettings
from vidrnn.video.decode import decode
from vidrnn.video.probe import probe

Run = Callable[[torch.Tensor], torch.Tensor]


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--compile", action="store_true", help="also torch.compile, which takes half a minute to build")
    arguments = parser.parse_args()
    settings = FeatureSettings(backbone=arguments.backbone, weights=arguments.weights, nodes={"last": 1})
    frames = rendered_frames(build_network(settings), arguments.batch)
    engines = build(settings, frames, with_compile=arguments.compile)
    reference = engines["eager"](frames)
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(arguments.rounds):
        for name, engine in engines.items():
            seconds[name].append(seconds_of(lambda engine=engine: engine(frames)))
    packages = [name for name in ("torch", "openvino", "timm", "onnxruntime") if importlib.util.find_spec(name)]
    print_machine(*packages)
    print(f"{arguments.backbone}, batch {arguments.batch}\n")
    print("| engine | frames/s | times eager | least similarity to eager |\n|---|---|---|---|")
    figures = {}
    for name, engine in engines.items():
        rate = arguments.batch / statistics.median(seconds[name])
        ratio = median_ratio(seconds["eager"], seconds[name])
        alike = similarity(engine(frames), reference)
        figures[name] = {"frames_per_s": round(rate, 1), "times_eager": round(ratio, 2), "similarity": alike}
        print(f"| {name} | {rate:.1f} | {ratio:.2f} | {alike:.7f} |")
    print_json(figures, 7)


def build(settings: FeatureSettings, frames: torch.Tensor, *, with_compile: bool) -> dict[str, Run]:
    """Every engine, warm."""
    cpu, batch, size = torch.device("cpu"), len(frames), frames.shape[-1]
    network = build_network(settings)
    engines: dict[str, Run] = {
        "openvino": _run(OpenVino(OpenVino.convert(network, frames), batch_size=batch, image_size=size)),
        "openvino, all threads on one batch": _one_batch(network, frames),
    }
    if all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime")):
        engines["onnxruntime"] = _onnxruntime(network, frames)
    engines["eager"] = _run(Eager(build_network(settings), device=cpu, precision="float32"))
    if with_compile:
        engines["compile"] = _run(Compiled(build_network(settings), precision="float32"))
    for engine in engines.values():
        engine(frames)
    return engines


def _run(engine: Engine) -> Run:
    """On the frames as they are, each once."""
    return lambda frames: engine(frames, Views.plain(len(frames)))


def _one_batch(network: Network, frames: torch.Tensor) -> Run:
    import openvino

    model = OpenVino.convert(network, frames)
    model.reshape(list(frames.shape))
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    return lambda batch: torch.from_numpy(np.array(request.infer({0: batch.numpy()})[0]))


def _onnxruntime(network: Network, frames: torch.Tensor) -> Run:
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        torch.onnx.export(network, (frames,), path, dynamo=True, verbose=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: torch.from_numpy(session.run(None, {name: batch.numpy()})[0])


def rendered_frames(network: Network, count: int) -> torch.Tensor:
    """Frames of a drawn person, as the network takes them: (count, 3, S, S) uint8."""
    with tempfile.TemporaryDirectory() as folder:
        video = probe(draw_clips(Path(folder), 1)[0])
        decoded = list(decode(video, np.arange(video.num_frames)))
    chosen = [decoded[position * len(decoded) // count] for position in range(count)]
    return torch.stack([network.preprocessing.fit(frame.rgb) for frame in chosen])


if __name__ == "__main__":
    main()
