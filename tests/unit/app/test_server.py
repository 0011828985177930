"""What the page asks and gets: lists, ranges of files, labels that are kept, files to take away."""

import csv
import json
from pathlib import Path

import pytest

from tests.unit.app.app_worlds import BASE, clips_in, page
from tests.unit.reporting.report_worlds import write_run, write_videos
from vidrnn.annotations.csv_file import read_csv
from vidrnn.errors import ConfigError, MissingPathError


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    write_videos(folder, 6, frames=6)
    return folder


@pytest.mark.parametrize(
    ("wanted", "status", "span"),
    [
        ("bytes=0-9", 206, (0, 10)),
        ("bytes=100-", 206, (100, None)),
        ("bytes=-7", 206, (-7, None)),
        ("bytes=0-99999999", 206, (0, None)),
        ("bytes=-99999999", 206, (0, None)),
        ("bytes=99999999-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=9-3", 400, None),
        ("bytes=a-b", 400, None),
        ("lines=0-9", 400, None),
        (None, 200, (0, None)),
    ],
)
def test_videos_come_in_ranges(videos: Path, wanted: str | None, status: int, span) -> None:
    content = (videos / "clips/2.mp4").read_bytes()
    with page(videos) as (client, _):
        answer = client.get(f"{BASE}clips/2/video", headers={"range": wanted} if wanted else {})
        assert answer.status_code == status
        if status == 416:
            assert answer.headers["content-range"] == f"bytes */{len(content)}"
        if span is not None:
            assert answer.content == content[slice(*span)] and answer.headers["content-type"] == "video/mp4"
            assert answer.headers["accept-ranges"] == "bytes"


def test_lists_come_in_pages(videos: Path) -> None:
    with page(videos) as (client, _):
        found = client.get(f"{BASE}clips?first=4&count=50&text=CLIPS").json()
        assert (found["total"], [row["name"] for row in found["rows"]]) == (6, ["clips/4.mp4", "clips/5.mp4"])
        for wrong in ("first=-1", "count=0", "count=501", "first=x", "show=best", "first=" + "9" * 30):
            assert client.get(f"{BASE}clips?{wrong}").status_code == 400
        assert client.get(f"{BASE}clips/5/place?text=5").json() == {"place": 0}
        assert client.get(f"{BASE}clips/5/place?text=clips/4").json() == {"place": None}


def test_a_label_is_kept_and_undone_and_nothing_else_is_touched(tmp_path: Path) -> None:
    folder = clips_in(tmp_path / "videos", "a.mp4", "b.mp4")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with page(folder) as (client, _):
        refused = client.post(f"{BASE}clips/0/label", json={"label": "sit"})
        assert refused.status_code == 400 and refused.json()["error"] == "label 'sit' is no class; add the class first"
        client.post(f"{BASE}classes", json={"name": "sit"})
        client.post(f"{BASE}classes", json={"name": "stand"})
        assert client.post(f"{BASE}clips/0/label", json={"label": "sit"}).json()["label"] == "sit"
        assert client.post(f"{BASE}clips/1/label", json={"label": "stand"}).json()["changed"]
        assert client.post(f"{BASE}undo").json()["clip"]["id"] == 1
    log = folder / "vidrnn_labels.jsonl"
    with page(folder) as (client, _):  # the next day
        about = client.get(f"{BASE}about").json()
        assert (about["classes"], about["labelled"]) == (["sit", "stand"], 1)
        assert client.get(f"{BASE}clips/0").json()["label"] == "sit"
    assert {path: path.read_bytes() for path in folder.iterdir() if path != log} == before


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"label": 3}', b'{"label": null}', b"[" * 100_000, b"\xff"])
def test_what_is_no_label_is_refused(videos: Path, tmp_path: Path, body: bytes) -> None:
    with page(videos, labels=tmp_path / "labels.jsonl") as (client, _):
        assert client.post(f"{BASE}clips/0/label", content=body).status_code == 400
        assert client.post(f"{BASE}clips/9/label", json={"label": ""}).status_code == 404
        assert client.post(f"{BASE}clips/0/label", content=b" " * 5_000_000).status_code == 413
    assert not (tmp_path / "labels.jsonl").exists()


def test_a_run_is_looked_through_and_its_corrections_train(tmp_path: Path, videos: Path) -> None:
    """The exported CSV holds what predictions.csv knows with the corrections in place, and the groups."""
    paths = [f"clips/{number}.mp4" for number in range(40)]
    run = write_run(tmp_path / "run", "label", n=40)
    with page(videos, run=run) as (client, _):
        wrong = client.get(f"{BASE}clips?show=wrong").json()["rows"]
        assert wrong and all(row["label"] != row["predicted"] for row in wrong)
        scores = [row["score"] for row in client.get(f"{BASE}clips?show=uncertain").json()["rows"]]
        assert scores == sorted(scores) and len(scores) == 40
        detail = client.get(f"{BASE}clips/{wrong[0]['id']}").json()
        assert detail["top_k"][0][1] == pytest.approx(detail["score"]) and detail["group"].startswith("g")
        client.post(f"{BASE}clips/{wrong[0]['id']}/label", json={"label": wrong[0]["predicted"]})
        assert client.get(f"{BASE}clips/{wrong[0]['id']}").json()["truth"] == wrong[0]["label"]
        export = client.post(f"{BASE}exports", json={"format": "csv"}).json()
        (tmp_path / "labels.csv").write_bytes(client.get(f"{BASE}{export['href']}").content)
    assert (run / "vidrnn_labels.jsonl").exists()
    found = {annotation.path: annotation for annotation in read_csv(tmp_path / "labels.csv")}
    assert list(found) == paths
    assert found[wrong[0]["name"]].label == wrong[0]["predicted"]
    assert {path: annotation.group for path, annotation in found.items()} == {
        p: f"g{n // 3}" for n, p in enumerate(paths)
    }
    with (run / "predictions.csv").open(newline="") as file:
        truths = {row["path"]: row["label"] for row in csv.DictReader(file)}
    assert {p: a.label for p, a in found.items() if p != wrong[0]["name"]} == {
        p: label for p, label in truths.items() if p != wrong[0]["name"]
    }


def test_splits_of_the_configuration_stay_in_the_export(tmp_path: Path, videos: Path) -> None:
    rows = [f"clips/{number}.mp4,jump,{'train' if number else 'test'}" for number in range(6)]
    root = tmp_path / "root"
    root.symlink_to(videos)
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    run = write_run(tmp_path / "run", "label", n=1, paths=["clips/0.mp4"], root=root)
    config = (run / "config.yaml").read_text().replace("list.csv", str(tmp_path / "list.csv"))
    (run / "config.yaml").write_text(config)
    with page(run=run) as (client, session):
        assert client.get(f"{BASE}clips/0/video").status_code == 200  # the folder that the configuration names
        client.post(f"{BASE}clips/0/label", json={"label": "wave"})
        exported = session.annotations()
    assert [(a.path, a.label, a.split) for a in exported[:2]] == [
        ("clips/0.mp4", "wave", "test"), ("clips/1.mp4", "jump", "train")
    ]  # fmt: skip
    assert len(exported) == 6


def test_segments_are_kept_and_taken_away_in_other_formats(tmp_path: Path, videos: Path) -> None:
    said = tmp_path / "segments.csv"
    said.write_text(
        "path,status,start,end,label,score,error\nclips/1.mp4,ok,0.0,0.1,sit,0.9,\nclips/1.mp4,ok,0.1,0.2,wave,0.8,\n"
    )
    with page(videos, run=said) as (client, _):
        assert client.get(f"{BASE}clips/0").json()["segments"] == [[0.0, 0.1, "sit", 0.9], [0.1, 0.2, "wave", 0.8]]
        moved = {"segments": [[0.0, 0.08, "sit"], [0.08, 0.2, "wave"]]}
        assert client.post(f"{BASE}clips/0/segments", json=moved).json()["num_segments"] == 2
        for wrong in (
            [[0, 1, "none"]],
            [[1, 0, "sit"]],
            [[0, 1]],
            [["a", 1, "sit"]],
            [[0, 2, "sit"], [1, 3, "sit"]],
            ["x"],
        ):
            assert client.post(f"{BASE}clips/0/segments", json={"segments": wrong}).status_code == 400, wrong
        for kind in ("csv", "activitynet", "boris", "srt", "eaf", "mstcn"):
            export = client.post(f"{BASE}exports", json={"format": kind}).json()
            content = client.get(f"{BASE}{export['href']}").content
            assert content[:2] == b"PK" if kind in {"srt", "eaf", "mstcn"} else content
            if kind == "activitynet":
                (video,) = json.loads(content)["database"].values()
                assert video["annotations"][1] == {"segment": [0.08, 0.2], "label": "wave"}
        assert client.post(f"{BASE}exports", json={"format": "none"}).status_code == 400


def test_paths_of_classify_begin_where_it_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the page and in what is taken away they are relative to the folder of the videos."""
    clips_in(tmp_path, "new/a/1.mp4", "new/2.mp4", "other/3.mp4")
    said = tmp_path / "labels.csv"
    rows = [f"{path},ok,sit,0.9,sit:0.900000|stand:0.100000," for path in ("new/a/1.mp4", "new/2.mp4", "other/3.mp4")]
    said.write_text("\n".join(["path,status,label,score,top_k,error", *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    with page(Path("new"), run=said) as (client, _):
        names = [row["name"] for row in client.get(f"{BASE}clips").json()["rows"]]
        assert names == ["a/1.mp4", "2.mp4", "other/3.mp4"]
        assert [client.get(f"{BASE}clips/{number}/video").status_code for number in range(3)] == [200, 200, 404]
        client.post(f"{BASE}clips/0/label", json={"label": "stand"})
        export = client.post(f"{BASE}exports", json={"format": "csv"}).json()
        assert client.get(f"{BASE}{export['href']}").text == "path,label\na/1.mp4,stand\n"


def test_names_in_any_encoding_are_shown_labelled_and_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / "vid\udce9os"
    clips_in(folder, "caf\udce9.mp4", "größe.mp4")
    with page(folder) as (client, _):
        assert client.get(f"{BASE}about").json()["title"] == r"vid\xe9os"
        names = [row["name"] for row in client.get(f"{BASE}clips").json()["rows"]]
        assert sorted(names) == [r"caf\xe9.mp4", "größe.mp4"]
        client.post(f"{BASE}classes", json={"name": "größe"})
        for number in range(2):
            assert client.get(f"{BASE}clips/{number}/video").status_code == 200
            assert client.get(f"{BASE}clips/{number}").status_code == 200
            client.post(f"{BASE}clips/{number}/label", json={"label": "größe"})
        export = client.post(f"{BASE}exports", json={"format": "csv"}).json()
        (tmp_path / "labels.csv").write_bytes(client.get(f"{BASE}{export['href']}").content)
    found = {annotation.path: annotation.label for annotation in read_csv(tmp_path / "labels.csv")}
    assert found == {"caf\udce9.mp4": "größe", "größe.mp4": "größe"}


def test_nothing_to_show_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to show: give folders of videos, --config, or --run"), page():
        pass
    with pytest.raises(MissingPathError, match=r"predictions.csv does not exist"), page(run=tmp_path):
        pass
    run = write_run(tmp_path / "run", "step_labels")
    with (
        pytest.raises(ConfigError, match=r"holds answers of head 'step_labels'.* look at them with `vidrnn report`"),
        page(run=run),
    ):
        pass
