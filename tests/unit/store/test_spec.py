"""The identity of an extraction: its digest changes with the numbers, and with nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vidrnn.backbones.backbone import load_backbone
from vidrnn.settings.base import load
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.run import RunSettings
from vidrnn.store.spec import FeatureSpec, sampling_values

SETTINGS = FeatureSettings(backbone="timm/test_resnet", weights="random", image_size=32, square="warp", rate=10.0)
OTHER_EXTRACTION = {
    "store": Path("elsewhere"),
    "device": "auto",
    "engine": "eager",
    "decoder": "nvdec",
    "batch_size": 3,
    "workers": 7,
    "time_limit_s": 1.0,
    "stall_limit_s": 2.0,
    "memory_limit_mb": 300,
}
"""For each setting of `extraction` another value."""


def changed(**changes) -> FeatureSettings:
    return SETTINGS.model_copy(update=changes)


def spec_of(settings: FeatureSettings, **extraction) -> FeatureSpec:
    return load_backbone(settings, ExtractionSettings(**{"device": "cpu", **extraction})).spec


@pytest.fixture(scope="module")
def spec() -> FeatureSpec:
    return spec_of(SETTINGS)


@pytest.mark.parametrize(
    "changes",
    [
        {"backbone": "timm/test_vit"},
        {"image_size": 64},
        {"square": "pad"},
        {"square": "center_crop"},
        {"nodes": {"last": 2}},
        {"precision": "bfloat16"},
        {"rate": 5.0},
        {"sampling": "uniform"},
        {"sampling": "every"},
        {"max_frames": 100},
        {"frame_rate": 25.0},
        {"frame_template": "img_{:05}.jpg"},
    ],
    ids=str,
)
def test_the_digest_changes_with_each_setting_that_changes_the_numbers(spec, changes):
    assert spec_of(changed(**changes)).digest != spec.digest


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 99},  # belongs to another kind of sampling, as the next one
        {"stride": 9},
        {"spec_digest": "abcd"},
        {"mirrored": True},  # a second spec beside this one
    ],
    ids=str,
)
def test_the_digest_stays_when_what_changes_is_not_looked_at(spec, changes):
    assert spec_of(changed(**changes)).digest == spec.digest


@pytest.mark.parametrize("key", ExtractionSettings.model_fields)
def test_the_digest_stays_whatever_the_settings_of_extraction(spec, key):
    value = OTHER_EXTRACTION[key]
    assert getattr(ExtractionSettings(device="cpu"), key) != value
    assert spec_of(SETTINGS, **{key: value}).digest == spec.digest


@pytest.mark.parametrize(
    "changes",
    [
        {"weights_digest": "0" * 64},
        {"weights": "w.pth"},
        {"stream": "flow"},
        {"node": "layer3"},
        {"dim": 7},
        {"format_version": 2},
        {"preprocessing": {"image_size": 32}},
    ],
    ids=str,
)
def test_the_digest_covers_what_no_setting_names(spec, changes):
    assert replace(spec, **changes).digest != spec.digest


def test_the_digest_is_the_same_in_every_session():
    """A constant: a change of the canonical text would orphan every store."""
    example = FeatureSpec(
        stream="rgb",
        backbone="b",
        weights="default",
        weights_digest="00",
        node="n",
        dim=2,
        grid=1,
        preprocessing={"mean": (0.5, 0.5, 0.5), "image_size": 8},
        sampling={"kind": "fps", "rate": 10.0},
        precision="float32",
    )
    text = (
        '{"backbone":"b","dim":2,"format_version":1,"grid":1,"node":"n","precision":"float32",'
        '"preprocessing":{"image_size":8,"mean":[0.5,0.5,0.5]},"sampling":{"kind":"fps","rate":10.0},'
        '"stream":"rgb","weights":"default","weights_digest":"00"}'
    )
    assert example.to_json() == text
    assert example.digest == "b3fe17c0b51a23c2"


def test_nodes_are_part_of_the_identity_and_come_back(spec):
    settings = changed(nodes={"last": 1, "blocks.4": 2})
    several = replace(spec, node="last/1,blocks.4/2", parts=(5, 16), dim=21)
    assert FeatureSpec.from_json(several.to_json()) == several
    assert several.digest not in {spec.digest, replace(several, parts=(16, 5)).digest}
    assert several.differences(settings) == []
    assert several.differences(SETTINGS) == ["nodes: 'last/1,blocks.4/2', asked 'last/1'"]
    assert spec.differences(settings) == ["nodes: 'last/1', asked 'last/1,blocks.4/2'"]


def test_the_digest_of_a_shipped_configuration_stays():
    """The same constant for the whole spec, as an extraction makes it."""
    config = Path(__file__).resolve().parents[3] / "configs" / "weizmann_lite0_bigru.yaml"
    features = load(RunSettings, config).features
    assert spec_of(features).digest == "13d602bd8246cd47"
    assert spec_of(features.model_copy(update={"mirrored": True})).digest == "13d602bd8246cd47"


def test_the_mirrored_spec_differs_in_one_key_and_mirrored_twice_is_the_spec(spec):
    mirrored = spec.mirrored()
    assert (spec.is_mirrored, mirrored.is_mirrored) == (False, True)
    plain = json.loads(spec.to_json())
    assert "mirrored" not in plain["preprocessing"]
    assert json.loads(mirrored.to_json()) == {**plain, "preprocessing": {**plain["preprocessing"], "mirrored": True}}
    assert mirrored.digest != spec.digest
    assert mirrored.mirrored().to_json() == spec.to_json()


@pytest.mark.parametrize("asked", [False, True])
def test_a_mirrored_spec_fits_no_configuration(spec, asked):
    assert spec.differences(changed(mirrored=asked)) == []
    assert spec.mirrored().differences(changed(mirrored=asked)) == ["mirrored: True, asked False"]


def test_json_is_canonical_and_comes_back(spec):
    text = spec.to_json()
    again = FeatureSpec.from_json(text)
    assert again.to_json() == text
    assert again.digest == spec.digest
    shuffled = json.dumps(dict(reversed(json.loads(text).items())))
    assert FeatureSpec.from_json(shuffled).digest == spec.digest


def test_a_spec_equals_the_one_that_is_read_from_a_file_however_it_was_made(spec):
    """A file has lists and text as keys; who makes a spec has tuples, and may go on to change the dictionary."""
    sampling = {"kind": "uniform", "count": 4}
    made = replace(spec, preprocessing={"mean": (0.5, 0.25), "deep": {"std": ((1, 2),)}}, sampling=sampling)
    sampling["count"] = 5
    assert made.preprocessing == {"mean": [0.5, 0.25], "deep": {"std": [[1, 2]]}}
    assert made.sampling["count"] == 4
    assert FeatureSpec.from_json(made.to_json()) == made


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"stream": "rgb"}', '{"unknown": 1}'])
def test_other_text_is_no_spec(text):
    with pytest.raises((TypeError, ValueError)):
        FeatureSpec.from_json(text)


def test_only_the_sampling_settings_that_apply_count():
    assert sampling_values(changed(max_frames=9)) == {"kind": "fps", "rate": 10.0, "max_frames": 9}
    assert sampling_values(changed(sampling="uniform", count=5, max_frames=9)) == {"kind": "uniform", "count": 5}
    assert sampling_values(changed(sampling="every", stride=2)) == {"kind": "every", "stride": 2}
    assert sampling_values(changed(frame_rate=25.0)) == {"kind": "fps", "rate": 10.0, "frame_rate": 25.0}


def test_the_rate_of_frame_folders_can_be_another_without_changing_anything_else(spec):
    at_25 = spec_of(changed(frame_rate=25.0))
    assert spec.at_frame_rate(25.0).digest == at_25.digest
    assert at_25.at_frame_rate(30.0).digest == spec_of(changed(frame_rate=30.0)).digest
    assert at_25.at_frame_rate(None).digest == spec.digest


def test_no_differences_to_the_settings_that_it_came_from(spec):
    assert spec.differences(SETTINGS) == []
    assert spec.differences(changed(image_size=None, spec_digest=spec.digest[:6])) == []


def test_each_difference_names_the_key_what_is_here_and_what_was_asked(spec):
    settings = changed(
        backbone="resnet18",
        weights="/some/where/w.pth",
        square="pad",
        nodes={"last": 3},
        rate=5.0,
        precision="bfloat16",
        image_size=64,
        spec_digest="zz",
    )
    assert spec.differences(settings) == [
        "backbone: 'timm/test_resnet', asked 'resnet18'",
        "weights: 'random', asked 'w.pth'",
        "square: 'warp', asked 'pad'",
        "nodes: 'last/1', asked 'last/3'",
        "sampling: {'kind': 'fps', 'rate': 10.0}, asked {'kind': 'fps', 'rate': 5.0}",
        "precision: 'float32', asked 'bfloat16'",
        "image_size: 32, asked 64",
        f"spec_digest: {spec.digest!r}, asked 'zz'",
    ]


@pytest.mark.parametrize(("precision", "fits"), [("float32", True), ("float16", True), ("bfloat16", False),
                                                 ("int8/nncf-3.4.0", False)])  # fmt: skip
def test_auto_is_what_a_cpu_or_a_gpu_takes_by_itself(spec, precision, fits):
    """So features from a GPU serve a training without one; what was asked for by name on purpose is another spec."""
    made, (asked, _, _) = replace(spec, precision=precision), precision.partition("/")
    assert SETTINGS.precision == "auto"
    assert made.differences(SETTINGS) == ([] if fits else [f"precision: {asked!r}, asked 'auto'"])
    assert made.differences(changed(precision=asked)) == []
    for other in {"float32", "bfloat16", "float16", "int8"} - {asked}:
        assert made.differences(changed(precision=other)) == [f"precision: {asked!r}, asked {other!r}"]


def test_differences_survive_a_trip_through_json(spec):
    """Lists for tuples and floats for numbers: what was read back must compare equal."""
    assert FeatureSpec.from_json(spec.to_json()).differences(SETTINGS) == []
