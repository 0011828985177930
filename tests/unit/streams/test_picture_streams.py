"""Several streams of pictures in one configuration: passes, specs, the store, and the decoder process."""

import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from tests.media import picture, pictures, write_clip, write_pictures
from tests.unit.cli.test_extract_verb import NAMES, World, make_world
from tests.worlds import Sections, sections
from vidrnn.backbones import executor
from vidrnn.backbones.backbone import load_backbone
from vidrnn.errors import ConfigError, StoreError
from vidrnn.extraction.jobs import Failure, Job
from vidrnn.extraction.pipeline import embed_videos
from vidrnn.frames.fitting import Drawing, draw
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.spec import FeatureSpec
from vidrnn.streams import passes
from vidrnn.streams.passes import load_passes
from vidrnn.video.probe import probe
from vidrnn.video.sampling import Sampling

TINY = {"backbone": "timm/test_resnet", "weights": "random", "image_size": 32, "batch_size": 4}
SEVERAL = ("--set", "features.streams=[rgb, flow, rgb_diff]", "--set", "features.mirrored=true")


def settings(**changes) -> Sections:
    return sections(**{**TINY, "sampling": "every", **changes})


@pytest.fixture
def world(tmp_path, capsys) -> World:
    return make_world(tmp_path, capsys)


def test_the_specs_of_plain_frames_keep_their_digests():
    """Written down before there were streams, for the committed configurations: plain and mirrored."""
    committed = sections(sampling="every", mirrored=True)
    assert [each.spec.digest for each in load_passes(*committed)] == ["26a645a35aaf8c15", "948cab2e5b751a3e"]


def test_of_the_digests_of_other_streams_only_mirrored_flow_has_changed():
    """Written down while mirrored flow was searched for, as b48356b7fdfe8cf6: plain and mirrored."""
    several = load_passes(*sections(sampling="every", mirrored=True, streams=["flow", "rgb_diff", "rows"]))
    assert [each.spec.digest for each in several] == [
        *("2744702dd820860e", "46c70a5ec9d51a4b"),
        *("daeed61dfaebfd12", "aab93788615f0bc5"),
        *("ddeb34fcea217c7f", "a43c3a0c13d0949d"),
    ]
    mirrored_flow = several[1].spec
    values = {**mirrored_flow.preprocessing}
    assert values.pop("mirrored_version") == 2
    searched = replace(mirrored_flow, preprocessing=values)
    assert (searched.digest, searched.is_superseded) == ("b48356b7fdfe8cf6", True)
    assert searched.mirrored() == several[0].spec == mirrored_flow.mirrored()
    assert not any(each.spec.is_superseded for each in several)


def test_mirrored_flow_of_an_earlier_version_is_made_anew_and_info_says_so(world):
    """All else stays; until then training says what is missing."""
    options = ("--set", "features.streams=[rgb, flow]", "--set", "features.mirrored=true")
    world.call("extract", *options)
    store, asked = FeatureStore(world.store), world.settings
    made = store.find_mirrored(asked, stream="flow")
    values = {key: value for key, value in made.spec.preprocessing.items() if key != "mirrored_version"}
    searched = store.create(replace(made.spec, preprocessing=values))
    for name in NAMES:
        searched.write(name, made.read(name))
    shutil.rmtree(made.path)
    with pytest.raises(StoreError, match=r"no mirrored features of spec .* run `vidrnn extract`"):
        store.find_mirrored(asked, stream="flow")
    assert world.call("extract", *options).out.splitlines()[-1] == "extracted 3, reused 9, failed 0"
    info = world.store_verb("info").out.splitlines()
    (line,) = [number for number, line in enumerate(info) if "nothing reads it any more" in line]
    assert info[line - 1] == f"  mirrored left to right; the plain view is {made.spec.mirrored().digest}"
    assert any(line.startswith(searched.spec.digest) for line in info[line - 4 : line])


def test_passes_are_streams_in_order_each_with_its_mirrored_view(monkeypatch, tmp_path):
    """One network is built for all of them, where no converted one is kept."""
    monkeypatch.setenv("VIDRNN_CACHE", str(tmp_path))
    built = []
    build = executor.build_network
    monkeypatch.setattr(executor, "build_network", lambda each: built.append(1) or build(each))
    several = load_passes(*settings(streams=["flow", "rows", "rgb"], mirrored=True))
    names = [(each.spec.stream, each.spec.is_mirrored) for each in several]
    assert names == [(stream, turned) for stream in ("flow", "rows", "rgb") for turned in (False, True)]
    assert len({each.spec.digest for each in several}) == 6
    assert built == [1]
    for each in several:
        assert FeatureSpec.from_json(each.spec.to_json()) == each.spec
        assert each.preprocessing == Preprocessing.from_dict(each.spec.preprocessing)


def test_rows_alone_need_no_network(monkeypatch):
    monkeypatch.setattr(passes, "load_backbone", lambda *_sections: pytest.fail("a network was loaded"))
    (rows,) = load_passes(*settings(streams=["rows"]))
    assert rows.spec.differences(settings(streams=["rows"]).features, stream="rows") == []


@pytest.mark.parametrize(
    ("stream", "changes", "expected"),
    [
        ("flow", {"flow": {"bound": 4.0}}, ["flow.bound: 8.0, asked 4.0"]),
        ("flow", {"flow": {"method": "farneback", "gap_s": 0}}, ["flow.method: 'dis'", "flow.gap_s: 0.04, asked 0.0"]),
        ("flow", {"rgb_diff": {"bound": 4.0}, "rows": {"patch": 4}}, []),
        ("flow", {"square": "pad"}, ["square: 'warp', asked 'pad'"]),
        ("rgb_diff", {"rgb_diff": {"bound": 9}}, ["rgb_diff.bound: 64.0, asked 9.0"]),
        ("rgb", {"flow": {"bound": 4.0}}, []),
        ("rows", {"rows": {"image_size": 16}}, ["rows.image_size: 32, asked 16"]),
        ("rows", {"backbone": "resnet18", "sampling": "fps", "precision": "float16", "image_size": 64}, []),
    ],
)
def test_a_spec_differs_where_its_own_stream_does(stream, changes, expected):
    """What another stream is drawn with does not matter; what matters to none gives the same digest."""
    (made,) = load_passes(*settings(streams=[stream]))
    got = made.spec.differences(settings(streams=[stream], **changes).features, stream=stream)
    assert len(got) == len(expected)
    assert all(each.startswith(start) for each, start in zip(got, expected, strict=True))
    assert made.spec.differences(settings().features, stream="audio") == [f"stream: {stream!r}, asked 'audio'"]


def test_what_opencv_lacks_is_said_before_the_first_video(monkeypatch):
    def refuse(_method):
        raise ConfigError("features.flow.method: not there")

    monkeypatch.setattr("vidrnn.frames.flow.flow_estimator", refuse)
    with pytest.raises(ConfigError, match="not there"):
        load_passes(*settings(streams=["rgb", "flow"]))


@pytest.mark.parametrize("stream", ["flow", "rgb_diff"])
def test_the_decoder_process_gives_what_direct_computation_gives(tmp_path, stream):
    clip = write_clip(tmp_path / "v.mp4", pictures(11, width=64, height=48))
    how = settings(streams=[stream], engine="eager")
    (view,) = load_passes(*how)
    ((_, got),) = embed_videos([Job("v", clip)], view, settings=how.extraction)
    steps = [step for _, step in draw(probe(clip), {0: Drawing(Sampling("every", stride=1), view.preprocessing)})]
    expected = view.embed(torch.from_numpy(np.stack([step.pixels for step in steps])))
    np.testing.assert_array_equal(got.features, expected.to(torch.float16).numpy())
    np.testing.assert_array_equal(got.timestamps_s, np.arange(11) / 25)


def test_rows_of_pictures_and_the_refusal_of_videos(tmp_path):
    """A video in the list costs only itself."""
    folder = write_pictures(tmp_path / "stills", [picture(3)])
    (still,) = folder.iterdir()
    clip = write_clip(tmp_path / "v.mp4", pictures(5))
    how = settings(streams=["rows"], rows={"image_size": 8})
    (rows,) = load_passes(*how)
    results = dict(embed_videos([Job("clip", clip), Job("still", still)], rows, settings=how.extraction))
    assert results["still"].features.shape == (8, 24)
    np.testing.assert_array_equal(results["still"].timestamps_s, np.arange(8.0))
    assert isinstance(results["clip"], Failure)
    assert "'rows' reads still images" in results["clip"].cause


def test_extract_makes_a_pass_per_stream_and_view(world):
    outcome = world.call("extract", *SEVERAL)
    assert outcome.code == 0
    lines = outcome.out.splitlines()[-7:]
    titles = [line.split(" features: ")[0] for line in lines[:-1]]
    assert titles == ["rgb", "mirrored rgb", "flow", "mirrored flow", "rgb_diff", "mirrored rgb_diff"]
    assert all(line.endswith("(extracted 3, reused 0, failed 0)") for line in lines[:-1])
    assert lines[-1] == "extracted 18, reused 0, failed 0"
    again = world.call("extract", *SEVERAL, "--set", "features.flow.bound=4")
    assert (again.code, again.out.splitlines()[-1]) == (0, "extracted 6, reused 12, failed 0")
    store, asked = FeatureStore(world.store), world.settings
    with pytest.raises(StoreError, match="no spec"):
        store.find(asked.model_copy(update={"flow": asked.flow.model_copy(update={"bound": 5.0})}), stream="flow")
    for stream in ("flow", "rgb_diff"):
        plain, turned = store.find(asked, stream=stream), store.find_mirrored(asked, stream=stream)
        assert turned.path.name == plain.spec.mirrored().digest
        for name in NAMES:
            np.testing.assert_array_equal(plain.read(name).timestamps_s, world.plain.read(name).timestamps_s)
    shown = world.store_verb("info").out
    assert "drawn with {'bound': 8.0, 'camera': 'keep', 'gap_s': 0.04, 'method': 'dis'}" in shown
    assert "  flow, timm/test_resnet (random), warp 32" in shown


def test_a_bad_video_fails_in_each_pass_and_is_named_once(world):
    (world.root / "run" / "bad.mp4").write_text("no video")
    outcome = world.call("extract", *SEVERAL)
    assert (outcome.code, outcome.out.splitlines()[-1]) == (3, "extracted 18, reused 0, failed 6")
    assert sum(line.startswith("failed:") for line in outcome.err.splitlines()) == 1


def test_check_forecasts_all_passes(world):
    outcome = world.call("check", *SEVERAL)
    (line,) = [line for line in outcome.out.splitlines() if "to extract" in line]
    assert line.startswith("features: 3 videos to extract, about ")
    assert " frames in 6 passes and " in line


def test_streams_share_an_engine_that_is_compared_on_real_frames():
    """The other streams go through the network and engine of the first, which changes none of their numbers."""
    several = load_passes(*settings(streams=["rgb", "flow"], engine="openvino"))
    (alone,) = load_passes(*settings(streams=["flow"], engine="eager"))
    frames = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    several[0].embed(frames)
    got, expected = several[1].embed(frames), alone.embed(frames)
    assert float(torch.cosine_similarity(got, expected).min()) > 0.999
    assert asdict(several[1].spec) == asdict(alone.spec)


def test_a_stream_of_a_mirrored_backbone_is_mirrored():
    turned = load_backbone(*settings()).mirrored().of_stream("flow")
    assert (turned.spec.stream, turned.spec.is_mirrored, turned.preprocessing.mirrored) == ("flow", True, True)
    assert turned.of_stream("rgb").spec == load_backbone(*settings()).mirrored().spec
