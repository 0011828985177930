"""What is outside of the given folders is neither listed nor opened, whatever a name or a link says."""

from pathlib import Path

import pytest

from tests.unit.app.app_worlds import BASE, clips_in, page
from tests.unit.reporting.report_worlds import write_run
from vidrnn.app.places import Places
from vidrnn.errors import MissingPathError


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """videos/ with clips and links, and clips beside it."""
    for name in ("videos/a.mp4", "videos/sub/b.mp4", "outside/c.mp4", "videos2/d.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    videos = tmp_path / "videos"
    (videos / "out.mp4").symlink_to(tmp_path / "outside/c.mp4")
    (videos / "in.mp4").symlink_to(videos / "a.mp4")
    (videos / "out").symlink_to(tmp_path / "outside")
    (videos / "loop.mp4").symlink_to(videos / "loop.mp4")
    (videos / "text.txt").write_text("x")
    return tmp_path


def test_links_that_lead_out_are_not_listed(world: Path) -> None:
    assert Places((world / "videos",)).names() == ["a.mp4", "in.mp4", "loop.mp4", "sub/b.mp4"]


def test_of_several_folders_names_are_absolute(world: Path) -> None:
    places = Places((world / "videos/sub", world / "videos2"))
    names = places.names()
    assert names == [str(world / "videos/sub/b.mp4"), str(world / "videos2/d.mp4")]
    assert [places.find(name) for name in names] == [Path(name) for name in names]


@pytest.mark.parametrize(
    "name",
    ["../outside/c.mp4", "sub/../../outside/c.mp4", "out.mp4", "out/c.mp4", "loop.mp4", "../videos2/d.mp4", "", ".",
     "sub", "a.mp4\0", "none.mp4", "/etc/passwd", "a" * 300],
)  # fmt: skip
def test_names_that_lead_out_find_nothing(world: Path, name: str) -> None:
    assert Places((world / "videos",)).find(name) is None


def test_absolute_names_find_what_lies_below(world: Path) -> None:
    places = Places((world / "videos",))
    assert places.find(str(world / "videos/a.mp4")) == world / "videos/a.mp4"
    assert places.find(str(world / "outside/c.mp4")) is None


def test_a_link_that_is_changed_after_it_was_listed_finds_nothing(world: Path) -> None:
    places = Places((world / "videos",))
    assert places.find("in.mp4") == world / "videos/a.mp4"
    (world / "videos/in.mp4").unlink()
    (world / "videos/in.mp4").symlink_to("/etc/passwd")
    assert places.find("in.mp4") is None


def test_no_folder_is_refused(world: Path) -> None:
    with pytest.raises(MissingPathError, match=r"a.mp4' is no folder; give folders that hold videos"):
        Places((world / "videos/a.mp4",))


def test_names_of_a_run_that_lead_out_are_listed_and_not_opened(tmp_path: Path) -> None:
    clips_in(tmp_path, "outside/c.mp4", "videos/a.mp4")
    paths = ["a.mp4", "../outside/c.mp4", str(tmp_path / "outside/c.mp4"), "gone.mp4"]
    run = write_run(tmp_path / "run", "label", n=4, paths=paths)
    with page(tmp_path / "videos", run=run) as (client, _):
        assert client.get(f"{BASE}clips").json()["total"] == 4
        assert client.get(f"{BASE}clips/0/video").status_code == 200
        for number in (1, 2, 3):
            for what in ("video", "play", "strip", "frames"):
                answer = client.get(f"{BASE}clips/{number}/{what}")
                assert answer.status_code == 404
                assert answer.json()["error"].endswith("start `vidrnn app` with the folder of the videos")
