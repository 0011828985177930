"""`vidrnn search` on drawn clips: people who sit down and who stand up, which the order of frames alone tells apart."""

import csv
from pathlib import Path

import pytest

import vidrnn
from tests.integration.world import World, call, write_config
from vidrnn.synthetic.clips import render_clip

ACTIONS, GROUPS = ("sit_down", "stand_up"), 5


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Five people in five rooms, each sits down and stands up; one more clip is in no store."""
    folder = tmp_path_factory.mktemp("alike")
    clips = folder / "clips"
    for group in range(GROUPS + 1):
        for number, action in enumerate(ACTIONS):
            path = (clips if group < GROUPS else folder / "new") / action / f"{group}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            seeds = {"group_seed": group, "clip_seed": 10 * group + number}  # no clip is another one backwards
            render_clip(path, action=action, width=96, height=72, **seeds)
    features = {"image_size": 64, "sampling": "uniform", "count": 8}
    config = write_config(folder, data={"root": str(clips), "format": "folder"}, features=features, epochs=4)
    vidrnn.extract(vidrnn.load_settings(config))
    return World(folder, clips, config, 2 * GROUPS)


@pytest.mark.parametrize("action", ACTIONS)
def test_the_nearest_clips_go_the_same_way(drawn: World, action: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each of the five people in turn: of the nearest four clips, all others of the same direction, most are found."""
    right = 0
    for group in range(GROUPS):
        like, output = f"{action}/{group}.mp4", drawn.folder / "similar.csv"
        outcome = call(
            *(capsys, "search", drawn.folder / "store", "--like", like, "--count", str(GROUPS - 1), "--output", output)
        )
        assert outcome.code == 0, outcome.err
        rows = list(csv.DictReader(output.open(newline="")))
        assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]
        assert like not in {row["path"] for row in rows}
        right += sum(row["path"].startswith(action) for row in rows)
    assert right >= 0.8 * GROUPS * (GROUPS - 1)  # by chance 4 of 9


def test_a_new_clip_is_read_and_a_model_may_compare(drawn: World, capsys: pytest.CaptureFixture[str]) -> None:
    new = drawn.folder / "new" / "stand_up" / f"{GROUPS}.mp4"
    outcome = call(capsys, "search", "--like", new, "--config", drawn.config, "--count", "1")
    assert "stand_up/" in outcome.out
    assert outcome.out.endswith("found 1\n")
    refused = call(capsys, "search", drawn.folder / "store", "--like", new)
    assert (refused.code, "give --config or --model" in refused.err) == (2, True)
    settings = vidrnn.load_settings(drawn.config)
    vidrnn.train(settings, output=drawn.folder / "run")
    model = drawn.folder / "run" / "model.safetensors"
    found = vidrnn.search(f"{new}@0-99", drawn.folder / "store", model=model, count=3)
    again = vidrnn.search(str(new), drawn.folder / "store", model=model, count=3, update=False)
    assert found == again
    assert len(found) == 3


def test_what_cannot_be_searched_is_named(drawn: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, output = drawn.folder / "store", tmp_path / "mine.csv"
    for options, code, message in (
        (("search", store, "--like", "nothing.mp4"), 2, "is no file, and no store has features of it"),
        (("search", "--like", "nothing.mp4"), 2, "needs a store, or a configuration"),
        (("search", store, "--like", "sit_down/0.mp4@50-60"), 2, "has no step from 50 to 60 s; its steps are from"),
        (("search", store, "--like", "sit_down/0.mp4", "--window", "3", "--no-update"), 2, "there is no index"),
        (("search", store, "--like", "sit_down/0.mp4", "--output", output), 2, "is there and holds no moments"),
    ):
        output.write_text("somebody's own\n")
        outcome = call(capsys, *options)
        assert (outcome.code, message in outcome.err) == (code, True), outcome.err
    assert output.read_text() == "somebody's own\n"
