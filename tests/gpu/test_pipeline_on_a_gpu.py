"""From files to answers on a GPU: extraction in several lanes, every verb, the same numbers for the same seed."""

import csv
import json

import pytest
import torch
from safetensors.torch import load_file

from tests.integration.world import World, call, make_world
from vidrnn.backbones.backbone import load_backbone, views
from vidrnn.backbones.engines import similarity
from vidrnn.device import repeatable
from vidrnn.extraction.jobs import Job
from vidrnn.extraction.pipeline import embed_passes
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.settings.base import validate
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.model import ModelSettings


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    """Clips whose features are extracted on the GPU."""
    return make_world(tmp_path_factory.mktemp("gpu"))


@pytest.fixture(scope="module")
def extracted(world):
    """The same, with features of both views in the store."""

    def run(capsys):
        return call(capsys, "extract", "--config", world.config, "--set", "features.mirrored=true")

    return run


def test_lanes_give_each_video_its_own_features_in_both_views(world):
    features, how = FeatureSettings(sampling="uniform", count=6, mirrored=True), ExtractionSettings(batch_size=16)
    both = views(load_backbone(features, how), features)
    clips = sorted(world.clips.rglob("*.mp4"))
    jobs = [Job(str(clip), clip, (0, 1)) for clip in clips]
    together = dict(embed_passes(jobs, both, settings=how))
    assert len(together) == len(clips)
    for job in jobs[::5]:
        alone = dict(embed_passes([job], both, settings=how))[job.path]
        for number in (0, 1):
            assert (together[job.path][number].features == alone[number].features).all()
        plain, mirrored = (torch.from_numpy(alone[number].features).float() for number in (0, 1))
        assert similarity(plain, mirrored) < 0.99999


def test_every_verb_runs_on_the_gpu(world, extracted, capsys):
    outcome = extracted(capsys)
    assert outcome.code == 0, outcome.err
    assert "extracted 42, reused 0, failed 0" in outcome.out
    assert "note: engine" not in outcome.out
    both = ("--set", "features.mirrored=true")
    run = world.folder / "run"
    assert call(capsys, "train", "--config", world.config, *both, "--output", run).code == 0
    model = run / "model.safetensors"
    arguments = ("--model", model, "--config", world.config, *both, "--output", world.folder / "test")
    assert call(capsys, "evaluate", *arguments, "--split", "test").code == 0
    result = world.folder / "crossval"
    settings = ("--set", "evaluation.seeds=1", "--set", "training.epochs=3", "--set", "evaluation.baselines=false")
    assert call(capsys, "crossval", "--config", world.config, *both, *settings, "--output", result).code == 0
    assert json.loads((result / "crossval.json").read_text())["n"] == world.num_videos
    output = world.folder / "labels.csv"
    clips = world.clips / "sit_down"
    for device in ("cuda", "cpu"):  # float32 on a CPU serves a model of features in float16
        assert call(capsys, "classify", clips, "--model", model, "--output", output, "--device", device).code == 0
        with output.open() as file:
            rows = list(csv.DictReader(file))
        assert [row["status"] for row in rows] == ["ok"] * 7


def test_the_same_seed_gives_the_same_weights(world, extracted, capsys):
    extracted(capsys)
    for cell in ("gru", "lstm", "mingru", "transformer", "tcn"):
        weights = []
        for number in (1, 2):
            run = world.folder / f"{cell}{number}"
            options = ("--set", f"model.cell={cell}", "--set", "training.epochs=3", "--output", run)
            outcome = call(capsys, "train", "--config", world.config, *options)
            assert outcome.code == 0, outcome.err
            weights.append(load_file(run / "model.safetensors"))
        first, second = weights
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first), cell


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "mingru", "minlstm", "transformer", "tcn"])
def test_layers_say_on_the_gpu_what_they_say_on_the_cpu(cell):
    torch.manual_seed(0)
    model = SequenceClassifier(validate(ModelSettings, {"cell": cell}), dim=64, num_classes=5).eval()
    features, lengths = torch.randn(4, 50, model.width), torch.tensor([50, 1, 17, 33])
    with torch.no_grad(), repeatable():
        expected = model(features, lengths)
        found = model.to("cuda")(features.to("cuda"), lengths).cpu()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
