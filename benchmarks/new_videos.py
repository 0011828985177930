"""How long a model of one stream and one of two take for new clips, both views.

    python -m benchmarks.new_videos [--clips 128]

The network is tiny and its weights are random, so that what is around it shows. Times are the best of four. The last
line is JSON.
"""

import tempfile
from pathlib import Path

import torch

from benchmarks.common import draw_clips, make_parser, print_json, print_machine, print_table, seconds_of
from vidrnn.annotations import LabelMap
from vidrnn.extraction.processes import warm_up
from vidrnn.inference.recogniser import Recogniser
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.model_file import TrainedModel
from vidrnn.settings.base import validate
from vidrnn.settings.run import RunSettings
from vidrnn.streams.passes import load_passes

RUNS = 4


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
    specs = [embedder.spec for embedder in passes if not embedder.spec.is_mirrored]
    labels = LabelMap(("a", "b", "c"))
    dims = {spec.stream: spec.dim for spec in specs}
    classifier = SequenceClassifier(settings.model, dim=dims, num_classes=len(labels)).eval()
    model = TrainedModel(classifier, labels, specs[0], settings, {}, {}, others=tuple(specs[1:]))
    return Recogniser(model, pictures=passes)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--clips", type=int, default=128)
    clips = parser.parse_args().clips
    warm_up()
    torch.manual_seed(0)
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        draw_clips(Path(folder), clips, width=96, height=72)
        for streams in (["rgb"], ["rgb", "flow"]):
            model = recogniser(streams)

            def classify(model: Recogniser = model) -> None:
                assert all(result.error is None for result in model.predict_all(folder))

            best = min(seconds_of(classify) for _ in range(RUNS))
            figures |= {f"{'+'.join(streams)}_best_s": best, f"{'+'.join(streams)}_clips_per_s": clips / best}
    print_machine("torch")
    print_table(figures)
    print_json(figures)


if __name__ == "__main__":
    main()
