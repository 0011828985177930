"""When annotations of an ELAN document are: some have times, some lie between others, some take times of others."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from xml.etree import ElementTree as ET

Span = tuple[float, float]


@dataclass
class AnnotationTimes:
    """What `find_times` found.

    Attributes:
        spans: start and end by the number of an annotation, in the unit of the document.
        between: numbers of annotations that begin or end at a slot without a value.
    """

    spans: dict[str, Span] = field(default_factory=dict)
    between: set[str] = field(default_factory=set)


def find_times(document: ET.Element) -> AnnotationTimes:
    """Start and end of the annotations that have any.

    Slots without a value lie evenly between their neighbours on the same tier. An annotation that refers to another
    has its times; several that refer to one on the same tier have equal parts of it, one after the other. ELAN shows
    both so.
    """
    order = {slot.get("TIME_SLOT_ID", ""): number for number, slot in enumerate(document.iter("TIME_SLOT"))}
    values = {slot.get("TIME_SLOT_ID", ""): slot.get("TIME_VALUE") for slot in document.iter("TIME_SLOT")}
    known = {name: float(value) for name, value in values.items() if value is not None}
    found = AnnotationTimes()
    for tier in document.iter("TIER"):
        there = [
            (_number(annotation), annotation.get("TIME_SLOT_REF1", ""), annotation.get("TIME_SLOT_REF2", ""))
            for annotation in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        times = known | _between(there, order, known)
        for number, first, last in there:
            if first in times and last in times:
                found.spans[number] = times[first], times[last]
                found.between |= {number} if first not in known or last not in known else set()
    _follow_references(document, found)
    return found


def _number(annotation: ET.Element) -> str:
    return annotation.get("ANNOTATION_ID", "")


def _between(
    annotations: Sequence[tuple[str, str, str]], order: dict[str, int], known: dict[str, float]
) -> dict[str, float]:
    """Times of slots without a value on one tier; where one annotation ends and the next begins is one instant."""
    follows = {last: first for (_, _, last), (_, first, _) in pairwise(annotations)}
    used = sorted({slot for _, *slots in annotations for slot in slots if slot in order}, key=order.__getitem__)
    found: dict[str, float] = {}
    for run, before_s, after_s in _runs(used, known):
        instants: list[list[str]] = []
        for slot in run:
            if instants and follows.get(instants[-1][-1]) == slot:
                instants[-1].append(slot)
            else:
                instants.append([slot])
        for number, slots in enumerate(instants, start=1):
            found |= dict.fromkeys(slots, before_s + (after_s - before_s) * number / (len(instants) + 1))
    return found


def _runs(used: Sequence[str], known: dict[str, float]) -> Iterator[tuple[list[str], float, float]]:
    """Neighbouring slots without a value, and the values before and after them."""
    run: list[str] = []
    before_s: float | None = None
    for slot in used:
        if slot not in known:
            run.append(slot)
            continue
        if run and before_s is not None:
            yield run, before_s, known[slot]
        run, before_s = [], known[slot]


def _follow_references(document: ET.Element, found: AnnotationTimes) -> None:
    waiting: list[tuple[str, list[ET.Element]]] = []
    for tier in document.iter("TIER"):
        children: defaultdict[str, list[ET.Element]] = defaultdict(list)
        for annotation in tier.iter("REF_ANNOTATION"):
            children[annotation.get("ANNOTATION_REF", "")].append(annotation)
        waiting += children.items()
    while ready := [entry for entry in waiting if entry[0] in found.spans]:
        waiting = [entry for entry in waiting if entry[0] not in found.spans]
        for parent, children_of_one in ready:
            start, end = found.spans[parent]
            part = (end - start) / len(children_of_one)
            for at, annotation in enumerate(_in_order(children_of_one)):
                found.spans[_number(annotation)] = start + at * part, start + (at + 1) * part
                found.between |= {_number(annotation)} if parent in found.between else set()


def _in_order(annotations: list[ET.Element]) -> list[ET.Element]:
    """One after the other as they say; as they stand where that leads nowhere."""
    after = {annotation.get("PREVIOUS_ANNOTATION"): annotation for annotation in annotations}
    ordered: list[ET.Element] = []
    before: str | None = None
    while before in after:
        ordered.append(after.pop(before))
        before = _number(ordered[-1])
    return ordered if len(ordered) == len(annotations) else annotations
