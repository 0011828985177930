"""`vidrnn.inference.side_files`: the texts and arrays of new videos are found where they are said to be, or refused."""

from pathlib import Path

import pytest

from tests.media import pictures, write_clip, write_pictures
from tests.worlds import tiny_spec
from vidrnn.annotations import Annotation
from vidrnn.errors import AnnotationError, ConfigError, MissingPathError
from vidrnn.inference.new_videos import find_videos
from vidrnn.inference.side_files import SideFiles, find_side_files
from vidrnn.settings.base import validate
from vidrnn.settings.features import FeatureSettings
from vidrnn.streams.external import ReadArray
from vidrnn.streams.text import FoundText, TextReader


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """A folder with one video in a folder, and one without."""
    for name in ("a/b.mp4", "c.mp4"):
        write_clip(tmp_path / "new" / name, pictures(5))
    return tmp_path / "new"


def features(**sections: object) -> FeatureSettings:
    return validate(FeatureSettings, {"streams": ["rgb"], **sections}, origin="test")


def side_files(*paths: Path, texts: Path | None = None, arrays: Path | None = None) -> SideFiles:
    return find_side_files(paths, find_videos(paths), texts=texts, arrays=arrays)


TEXT = {"streams": ["rgb", "text"], "text": {"source": "txt", "folder": "of_the_training"}}
ARRAYS = {"streams": ["rgb", "external"], "external": {"folder": "of_the_training", "rate": 2.0}}


def test_texts_that_are_not_there_are_named_as_they_were_given(new: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingPathError) as caught:
        side_files(new, texts=tmp_path / "gone.csv")
    wanted = f"--texts {str(tmp_path / 'gone.csv')!r} does not exist; give a CSV path,text or a folder of texts"
    assert str(caught.value) == wanted


def test_texts_of_a_csv_belong_to_paths_beside_it(new: Path, tmp_path: Path) -> None:
    (new / "texts.csv").write_text("path,text,label\na/b.mp4,opens,x\n../new/c.mp4,,x\n")
    found = side_files(new, texts=new / "texts.csv")
    assert found.texts == {new / "a" / "b.mp4": "opens", new / "c.mp4": ""}
    (new / "texts.csv").write_text("path,text\nc.mp4,opens\na/../c.mp4,shuts\n")
    with pytest.raises(AnnotationError, match=r"line 3: 'a/\.\./c\.mp4' is listed twice"):
        side_files(new, texts=new / "texts.csv")
    with pytest.raises(MissingPathError):
        side_files(new, texts=tmp_path / "none.csv")


def test_texts_in_a_folder_lie_as_the_videos_do(new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths relative to where one stands are no others."""
    (tmp_path / "texts" / "a").mkdir(parents=True)
    (tmp_path / "texts" / "a" / "b.txt").write_text("opens")
    monkeypatch.chdir(tmp_path)
    found = side_files(Path("new"), texts=Path("texts"))
    reader = TextReader(found.applied_to(features(**TEXT), []).text, found.root)
    said = reader.read(Annotation(str(new / "a" / "b.mp4"), "any", None, "any"))
    assert isinstance(said, FoundText)
    assert [passage.text for passage in said.document.passages] == ["opens"]
    assert not isinstance(reader.read(Annotation(str(new / "c.mp4"), "any", None, "any")), FoundText)


def test_without_a_folder_text_files_are_beside_the_videos(new: Path) -> None:
    (new / "c.txt").write_text("shuts")
    found = side_files(new)
    reader = TextReader(found.applied_to(features(**TEXT), []).text, found.root)
    assert reader.file_of(Annotation(str(new / "c.mp4"), "any", None, "any")) == new / "c.txt"


def test_arrays_in_a_folder_keep_the_name_and_the_length_of_the_training(new: Path, tmp_path: Path) -> None:
    (tmp_path / "arrays").mkdir()
    spec = tiny_spec(stream="external", dim=7, settings=features(**ARRAYS))
    for paths in ((new,), (new / "c.mp4",), (new / "c.mp4", new)):
        found = side_files(*paths, arrays=tmp_path / "arrays")
        own = found.applied_to(features(**ARRAYS), [spec]).external
        assert (own.folder, own.chosen_name, own.dim, own.rate) == (tmp_path / "arrays", "of_the_training", 7, 2.0)
        assert own.folder is not None
        reader = ReadArray(found.root, own.folder, own.suffix, own.rate, 7)
        assert reader.source(new / "c.mp4") == tmp_path / "arrays" / "c.npy"


def test_the_frames_of_one_video_are_no_folder_of_videos(tmp_path: Path) -> None:
    frames = write_pictures(tmp_path / "new" / "jump", pictures(3))
    (tmp_path / "arrays").mkdir()
    assert side_files(frames, arrays=tmp_path / "arrays").root == tmp_path / "new"


def test_folders_need_one_place_that_the_videos_lie_in(new: Path, tmp_path: Path) -> None:
    for changes in ({"arrays": tmp_path}, {"texts": tmp_path}):
        with pytest.raises(ConfigError, match="give one folder of videos, or files of one folder"):
            side_files(new / "a" / "b.mp4", new / "c.mp4", **changes)
    assert side_files(new / "a" / "b.mp4", new / "c.mp4") == SideFiles()
    with pytest.raises(MissingPathError, match=r"--arrays '.*none' is not a folder"):
        side_files(new, arrays=tmp_path / "none")


COLUMN = {"streams": ["text"], "text": {"source": "column"}}


@pytest.mark.parametrize(
    ("settings", "given", "told"),
    [
        (COLUMN, SideFiles(), "reads texts: give --texts FILE, a CSV"),
        (COLUMN, SideFiles(text_folder=Path("/texts")), "reads texts: give --texts FILE, a CSV"),
        (TEXT, SideFiles(texts={}), r"--texts FILE, but the model reads files ending in \.txt: give their folder"),
        ({}, SideFiles(texts={}), "--texts FILE, but the model reads no texts: leave it out"),
        ({}, SideFiles(text_folder=Path("/texts")), "--texts FOLDER, but the model reads no texts: leave it out"),
        ({}, SideFiles(arrays=Path("/arrays")), "--arrays FOLDER, but the model reads no arrays: leave it out"),
        (
            ARRAYS,
            SideFiles(),
            r"reads arrays \('of_the_training'\): give --arrays FOLDER. .* under the same name with \.npy",
        ),
    ],
)
def test_what_a_model_lacks_or_has_no_use_for_is_refused(
    settings: dict[str, object], given: SideFiles, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        given.refuse_unfit(features(**settings))


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        (COLUMN, SideFiles(texts={})),
        (TEXT, SideFiles()),
        (TEXT, SideFiles(text_folder=Path("/texts"))),
        (ARRAYS, SideFiles(arrays=Path("/arrays"))),
        ({}, SideFiles()),
    ],
)
def test_what_a_model_needs_is_taken(settings: dict[str, object], given: SideFiles) -> None:
    given.refuse_unfit(features(**settings))
