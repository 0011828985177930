"""Of a damaged video each stream gives what it gives alone, features or the cause, whatever it is read with."""

from dataclasses import replace

import pytest

from tests.media import cut, pictures, write_clip
from tests.unit.extraction.test_one_reading import PICTURES, assert_same, embed, settings
from vidrnn.extraction.jobs import Failure
from vidrnn.streams.passes import load_passes


@pytest.mark.parametrize(("rate", "keeps"), [(10, {"rgb"}), (25, set())])
def test_a_stream_that_needs_nothing_of_the_damage_keeps_its_frames(tmp_path, rate, keeps):
    fragments = {"movflags": "frag_keyframe+empty_moov"}
    whole = write_clip(tmp_path / "short.mp4", pictures(60, width=64, height=48), muxer=fragments, g="10")
    source, how = cut(whole, 0.6), settings(streams=PICTURES, sampling="fps", rate=rate)
    passes = load_passes(*how)
    together = embed({"a": source}, passes, how)["a"]
    assert {stream for number, stream in enumerate(PICTURES) if not isinstance(together[number], Failure)} == keeps
    for number, one_pass in enumerate(passes):
        alone = embed({"a": source}, [one_pass], how)["a"][0]
        if isinstance(alone, Failure):
            assert replace(together[number], seconds=alone.seconds) == alone
        else:
            assert_same(together[number], alone)


def test_a_video_that_gives_no_rows_says_so_also_where_it_is_damaged(tmp_path):
    fragments = {"movflags": "frag_keyframe+empty_moov"}
    whole = write_clip(tmp_path / "short.mp4", pictures(60, width=64, height=48), muxer=fragments, g="10")
    source, how = cut(whole, 0.6), settings(streams=["rgb", "rows"], stride=1)
    together = embed({"a": source}, load_passes(*how), how)["a"]
    assert "decoding stopped" in together[0].cause
    assert "reads still images" in together[1].cause
