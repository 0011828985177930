"""`vidrnn.settings.base`: YAML as people mean it, strict values, overrides, and errors with the dotted path."""

import tempfile
from pathlib import Path

import pydantic
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vidrnn.errors import ConfigError, MissingPathError
from vidrnn.settings.base import PathSetting, Settings, apply_overrides, dump_yaml, expand_variables, load, read_yaml


class Inner(Settings):
    rate: float = 0.1
    count: int = 3
    name: str | None = None
    places: tuple[int, ...] = ()
    on: bool = False


class Outer(Settings):
    inner: Inner = Inner()
    root: PathSetting


def read(folder: Path, text: str, *overrides: str) -> Outer:
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return load(Outer, path, overrides)


def refusal(folder: Path, text: str, *overrides: str) -> str:
    """The whole message, with the file's path written as FILE."""
    with pytest.raises(ConfigError) as caught:
        read(folder, text, *overrides)
    return str(caught.value).replace(str(folder / "c.yaml"), "FILE")


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("1E3", 1e3), ("+.5", 0.5), ("2.", 2.0), ("-1.5e+2", -150.0), ("7", 7.0)],
)
def test_numbers_are_read_as_yaml_1_2_reads_them(tmp_path: Path, text: str, value: float) -> None:
    assert read(tmp_path, f"root: a\ninner: {{rate: {text}}}").inner.rate == value


@pytest.mark.parametrize("word", ["no", "yes", "on", "off", "n", "Y", "0x1F", "1_000", "12:30", "2024-01-02", "010"])
def test_what_yaml_1_1_would_convert_stays_text(tmp_path: Path, word: str) -> None:
    assert read(tmp_path, f"root: a\ninner: {{name: {word}}}").inner.name == word


@pytest.mark.parametrize(("word", "value"), [("true", True), ("True", True), ("false", False), ("FALSE", False)])
def test_true_and_false_are_booleans(tmp_path: Path, word: str, value: bool) -> None:
    assert read(tmp_path, f"root: a\ninner: {{on: {word}}}").inner.on is value


@pytest.mark.parametrize("word", ["null", "~", ""])
def test_null_is_none(tmp_path: Path, word: str) -> None:
    assert read(tmp_path, f"root: a\ninner:\n  name: {word}\n").inner.name is None


def test_a_repeated_key_is_refused_with_its_line(tmp_path: Path) -> None:
    text = "root: a\ninner:\n  rate: 1\n  count: 2\n  rate: 3\n"
    assert refusal(tmp_path, text) == "FILE: key 'rate' stands twice (line 5); keep one of the two"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("rate: .nan", "inner.rate: got nan: Input should be a finite number"),
        ("rate: .inf", "inner.rate: got inf: Input should be a finite number"),
        ("rate: 1e999", "inner.rate: got inf: Input should be a finite number"),
        ("count: '3'", "inner.count: got '3': Input should be a valid integer"),
        ("count: 3.0", "inner.count: got 3.0: Input should be a valid integer"),
        ("count: true", "inner.count: got True: Input should be a valid integer"),
        ("rate: fast", "inner.rate: got 'fast': Input should be a valid number"),
        ("on: yes", "inner.on: got 'yes': Input should be a valid boolean"),
        ("name: 3", "inner.name: got 3: Input should be a valid string"),
        ("places: [1, x]", "inner.places.1: got 'x': Input should be a valid integer"),
        ("rat: 1", "inner.rat: unknown key; known here: rate, count, name, places, on"),
        ("rate: a\n  count: b", ("inner.rate: got 'a': Input should be a valid number; "
         "inner.count: got 'b': Input should be a valid integer")),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_dotted_path(tmp_path: Path, values: str, message: str) -> None:
    assert refusal(tmp_path, f"root: a\ninner:\n  {values}\n") == f"FILE: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inner: {}", "FILE: root: missing, and it has no default"),
        ("root: a\nouter: 1", "FILE: outer: unknown key; known here: inner, root"),
        ("root: a\ninner: 3", "FILE: inner: got 3: Input should be an object"),
        ("- a", "FILE: expected sections such as 'data:' and 'model:', found list"),
        ("", "FILE: expected sections such as 'data:' and 'model:', found NoneType"),
        ("just text", "FILE: expected sections such as 'data:' and 'model:', found str"),
        ("root: a\n? [x]\n: 1", "FILE: only numbers, texts, lists and sections are allowed: unhashable type: 'list'"),
        ("root: !!timestamp 2024-01-02", ("FILE: only numbers, texts, lists and sections are allowed: "
         "Object of type date is not JSON serializable")),
    ],
)  # fmt: skip
def test_a_wrong_shape_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(tmp_path, text) == message


def test_broken_yaml_is_refused_with_its_place(tmp_path: Path) -> None:
    message = refusal(tmp_path, "root: [a\ninner: {}\n")
    assert message.startswith("FILE: not valid YAML: ")
    assert "line 2" in message


def test_tags_build_no_objects(tmp_path: Path) -> None:
    message = refusal(tmp_path, "root: !!python/object/apply:os.getcwd []")
    assert message.startswith("FILE: not valid YAML: could not determine a constructor for the tag")


def test_an_alias_is_a_copy(tmp_path: Path) -> None:
    """An override of one section does not reach the section that was written as its alias."""
    path = tmp_path / "c.yaml"
    path.write_text("a: &x {k: 1}\nb: *x\n")
    assert apply_overrides(read_yaml(path), ["a.k=2"]) == {"a": {"k": 2}, "b": {"k": 1}}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nothing.yaml"
    with pytest.raises(MissingPathError) as caught:
        load(Outer, path)
    assert str(caught.value) == f"config {str(path)!r} does not exist; give --config a YAML file"


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"root: \xff\xfe")
    with pytest.raises(ConfigError) as caught:
        load(Outer, path)
    reason = "'utf-8' codec can't decode byte 0xff in position 6: invalid start byte"
    assert str(caught.value) == f"config {str(path)!r} cannot be read as UTF-8 text: {reason}"


def test_a_folder_is_not_a_config(tmp_path: Path) -> None:
    with pytest.raises(MissingPathError) as folder:
        read_yaml(tmp_path)
    assert str(folder.value) == f"config {str(tmp_path)!r} is a folder; give --config a YAML file"


def test_overrides_are_read_as_yaml_and_make_missing_sections(tmp_path: Path) -> None:
    overrides = ("inner.rate=1e-3", "inner.name=no", "inner.places=[1, 2]", "inner.on=true", "root=b=c")
    found = read(tmp_path, "root: a", *overrides)
    assert found.inner == Inner(rate=1e-3, name="no", places=(1, 2), on=True)
    assert found.root == Path("b=c")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("inner.rate", "--set 'inner.rate': expected section.key=value, for example training.seed=1"),
        ("=3", "--set '=3': expected section.key=value, for example training.seed=1"),
        ("inner..rate=3", "--set 'inner..rate=3': expected section.key=value, for example training.seed=1"),
        ("root.x=3", "--set 'root.x=3': 'root' is a value, not a section"),
        ("inner.count='3'", "FILE: inner.count: got '3': Input should be a valid integer"),
        ("inner.cuont=3", "FILE: inner.cuont: unknown key; known here: rate, count, name, places, on"),
    ],
)
def test_a_wrong_override_is_named(tmp_path: Path, override: str, message: str) -> None:
    assert refusal(tmp_path, "root: a", override) == message


def test_an_override_that_is_not_yaml_is_a_text(tmp_path: Path) -> None:
    """Such as the place of a video; a setting of another kind refuses it by its name."""
    message = refusal(tmp_path, "root: a", "inner.places=[1")
    assert message == "FILE: inner.places: got '[1': Input should be a valid array"
    assert apply_overrides({}, ["data.video_path={name}.mp4"]) == {"data": {"video_path": "{name}.mp4"}}


def test_overrides_leave_the_tree_alone() -> None:
    tree = {"inner": {"rate": 1.0}}
    assert apply_overrides(tree, ["inner.rate=2"]) == {"inner": {"rate": 2}}
    assert tree == {"inner": {"rate": 1.0}}


def test_variables_and_home_expand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDRNN_TEST_A", "/a b")
    monkeypatch.setenv("VIDRNN_TEST_EMPTY", "")
    monkeypatch.delenv("VIDRNN_TEST_B", raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    assert expand_variables("${VIDRNN_TEST_A}/x") == "/a b/x"
    assert expand_variables("${VIDRNN_TEST_A:-/d}/x") == "/a b/x"
    assert expand_variables("${VIDRNN_TEST_B:-/d e}/x") == "/d e/x"
    assert expand_variables("${VIDRNN_TEST_EMPTY:-/d}/x") == "/d/x"
    assert expand_variables("~/x") == "/home/me/x"
    assert expand_variables("a/~b $c") == "a/~b $c"


def test_a_variable_without_value_and_default_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIDRNN_TEST_B", raising=False)
    assert refusal(tmp_path, "root: ${VIDRNN_TEST_B}/x") == (
        "FILE: root: environment variable 'VIDRNN_TEST_B' is not set; set it or write ${VIDRNN_TEST_B:-default}"
    )


def test_settings_are_frozen() -> None:
    with pytest.raises(pydantic.ValidationError, match="Instance is frozen"):
        Inner().rate = 2.0  # type: ignore[misc]


_names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12) | st.sampled_from(
    [
        "1e3",
        "12e4",
        "no",
        "0x1f",
        "",
        "null",
        "~",
        "1_0",
        ".5",
        "2024-01-02",
        "<<",
        "=",
        "(\\w+)_",
        "true",
        "- a",
        "a: b",
    ]
)


@settings(deadline=None)
@given(_names, st.floats(allow_nan=False, allow_infinity=False), st.lists(st.integers(), max_size=3))
def test_what_is_dumped_loads_back(name: str, rate: float, places: list[int]) -> None:
    outer = Outer(inner=Inner(name=name, rate=rate, places=tuple(places)), root=Path("r"))
    with tempfile.TemporaryDirectory() as folder:
        assert read(Path(folder), dump_yaml(outer)) == outer


def test_a_dump_means_the_same_to_yaml_1_1() -> None:
    """Other programs read config.yaml with plain PyYAML."""
    outer = Outer(inner=Inner(name="no", rate=1e-5), root=Path("r"))
    assert yaml.safe_load(dump_yaml(outer))["inner"] == {
        "rate": 1e-5, "count": 3, "name": "no", "places": [], "on": False
    }  # fmt: skip
