"""How long a model of one stream and one of two take for 128 new clips, both views: `python -m benchmarks.new_videos`.

The network is tiny and its weights are random, so that what is around it shows.
"""

import tempfile
import time
from pathlib import Path

import torch

from vidrnn.annotations import LabelMap
from vidrnn.extraction.processes import warm_up
from vidrnn.inference.recogniser import Recogniser
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.model_file import TrainedModel
from vidrnn.settings.base import validate
from vidrnn.settings.run import RunSettings
from vidrnn.streams.passes import load_passes
from vidrnn.synthetic.clips import ACTIONS, render_clip

CLIPS, RUNS = 128, 4


def recogniser(streams: list[str]) -> Recogniser:
    features = {
        "backbone": "timm/test_resnet",
        "weights": "random",
        "image_size": 64,
        "streams": streams,
        "mirrored": True,
    }
    tree = {"data": {"root": "."}, "features": features, "extraction": {"device": "cpu"}}
    settings = validate(RunSettings, tree)
    passes = load_passes(settings.features, settings.extraction)
    specs = [each.spec for each in passes if not each.spec.is_mirrored]
    labels = LabelMap(("a", "b", "c"))
    dims = {spec.stream: spec.dim for spec in specs}
    classifier = SequenceClassifier(settings.model, dim=dims, num_classes=len(labels)).eval()
    model = TrainedModel(classifier, labels, specs[0], settings, {}, {}, others=tuple(specs[1:]))
    return Recogniser(model, pictures=passes)


def main() -> None:
    warm_up()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(CLIPS):
            action = list(ACTIONS)[number % len(ACTIONS)]
            clip = Path(folder) / f"{number}.mp4"
            render_clip(clip, action=action, group_seed=number, clip_seed=number, width=96, height=72)
        for streams in (["rgb"], ["rgb", "flow"]):
            model = recogniser(streams)
            seconds = []
            for _ in range(RUNS):
                started = time.perf_counter()
                assert all(result.error is None for result in model.predict_all(folder))
                seconds.append(time.perf_counter() - started)
            print(f"{'+'.join(streams)}: best of {RUNS} {min(seconds):.1f} s, {CLIPS / min(seconds):.1f} clips/s")


if __name__ == "__main__":
    main()
