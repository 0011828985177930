"""Which clips a list holds, in which order, and that it stays as it is while people work through it."""

from pathlib import Path

import numpy as np
import pytest

from vidrnn.app.answers import Answer, Answers, read_answers
from vidrnn.app.clips import Clips, Wanted
from vidrnn.app.label_log import Said
from vidrnn.errors import ConfigError


def world(n: int = 200) -> Clips:
    rng = np.random.default_rng(0)
    names = [f"{'AB'[number % 2]}/{number:03}.mp4" for number in range(n)]
    classes = ("sit", "stand", "wave")
    by_name = {name: Answer(classes[rng.integers(3)], float(rng.random())) for name in names[: n - 10]}
    truths = {name: classes[rng.integers(3)] for name in names[: n - 20]}
    return Clips(names, Answers(by_name, truths, classes=classes))


def by_hand(clips: Clips, wanted: Wanted, said: dict[str, Said]) -> list[int]:
    """The same, clip by clip."""
    found = []
    for number, name in enumerate(clips.names):
        answer, label = clips.answers.by_name.get(name), clips.label(number, said)
        predicted = answer.predicted if answer else ""
        shown = {
            "all": True,
            "wrong": bool(label and predicted and label != predicted),
            "uncertain": answer is not None,
            "unlabelled": not label,
            "changed": name in said,
        }[wanted.show]
        texts = (
            wanted.text.lower() in name.lower() and wanted.label in {"", label} and wanted.predicted in {"", predicted}
        )
        if shown and texts:
            found.append(number)
    if wanted.show == "uncertain":
        found.sort(key=lambda number: clips.answers.by_name[clips.names[number]].score)
    return found


@pytest.mark.parametrize("show", ["all", "wrong", "uncertain", "unlabelled", "changed"])
@pytest.mark.parametrize(
    "more",
    [{}, {"text": "a/"}, {"label": "sit"}, {"predicted": "wave"}, {"label": "none"}, {"text": "1", "label": "stand"}],
)
def test_lists_are_those_by_hand(show, more) -> None:
    clips, said = world(), {}
    for number, label in ((3, "wave"), (4, "new"), (190, "sit"), (199, "sit")):
        said[clips.names[number]] = Said(label)
        clips.take(clips.names[number], said)
    wanted = Wanted(show, **more)
    assert clips.view(wanted).tolist() == by_hand(clips, wanted, said)


def test_a_list_stays_until_it_is_asked_for_anew() -> None:
    clips, said, wanted = world(), {}, Wanted("unlabelled")
    before = clips.view(wanted).tolist()
    said[clips.names[before[0]]] = Said("sit")
    clips.take(clips.names[before[0]], said)
    assert clips.view(wanted).tolist() == before
    assert clips.view(wanted, anew=True).tolist() == before[1:]
    assert clips.num_changed == 1 and clips.num_labelled == 181


def test_what_is_taken_back_is_as_before() -> None:
    clips, said = world(), {}
    before = clips.view(Wanted("wrong")).tolist()
    said[clips.names[0]] = Said(clips.answer(0).predicted)
    clips.take(clips.names[0], said)
    clips.take(clips.names[0], {})
    assert clips.view(Wanted("wrong"), anew=True).tolist() == before


def test_an_unknown_list_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="show 'best' is unknown; allowed: all, wrong, uncertain, unlabelled, changed"
    ):
        Wanted("best")


def test_over_seeds_probabilities_are_averaged(tmp_path: Path) -> None:
    rows = ["path,label,predicted,score,correct,p_sit,p_stand,group,seed"]
    rows += ["a.mp4,sit,sit,0.60,True,0.60,0.40,g,0", "b.mp4,stand,sit,0.7,False,0.7,0.3,h,0"]
    rows += ["a.mp4,sit,stand,0.9,False,0.1,0.9,g,1", "b.mp4,stand,sit,0.9,False,0.9,0.1,h,1"]
    (tmp_path / "predictions.csv").write_text("\n".join(rows) + "\n")
    found = read_answers(tmp_path)
    assert (found.truths, found.groups) == ({"a.mp4": "sit", "b.mp4": "stand"}, {"a.mp4": "g", "b.mp4": "h"})
    assert found.by_name["a.mp4"].predicted == "stand"
    assert found.by_name["a.mp4"].note == "1 of 2 seeds say stand"
    assert found.by_name["a.mp4"].score == pytest.approx(0.65)
    assert found.by_name["b.mp4"].top_k == (("sit", pytest.approx(0.8)), ("stand", pytest.approx(0.2)))
