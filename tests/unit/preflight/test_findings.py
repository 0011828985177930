"""`vidrnn.preflight.findings`: levels, exit codes and what a person reads."""

import pytest

from vidrnn.errors import ExitCode
from vidrnn.preflight.findings import Finding, exit_code, leak

LEVELS = {"accepted": 0, "warning": 0, "failed": 3, "refused": 2}


@pytest.mark.parametrize("one", LEVELS)
@pytest.mark.parametrize("other", LEVELS)
def test_refused_outweighs_failed_and_the_rest_stops_nothing(one: str, other: str) -> None:
    code = exit_code([Finding(one, "a"), Finding(other, "b")])
    expected = {LEVELS[one], LEVELS[other]}
    assert code == (2 if 2 in expected else max(expected))


def test_nothing_found_is_no_failure() -> None:
    assert exit_code([]) is ExitCode.OK


def test_a_leak_is_refused_with_the_way_to_accept_it() -> None:
    finding = leak("near_duplicates", "2 pairs", accept=["metadata"], examples=["a and b", "c and d"])
    assert list(finding.lines()) == [
        "refused: 2 pairs",
        "  a and b",
        "  c and d",
        "  to go on all the same: data.accept: [near_duplicates]",
    ]


def test_an_accepted_leak_stays_named() -> None:
    finding = leak("near_duplicates", "2 pairs", accept=["near_duplicates"], examples=["a and b"])
    assert list(finding.lines()) == ["accepted: 2 pairs", "  a and b"]


def test_what_no_setting_makes_usable_cannot_be_accepted() -> None:
    assert list(leak(None, "no training split", accept=["metadata"]).lines()) == ["refused: no training split"]


def test_ten_examples_are_enough() -> None:
    lines = list(Finding("warning", "many", tuple("abcdefghijkl")).lines())
    assert lines == ["warning: many", *(f"  {name}" for name in "abcdefghij"), "  and 2 more"]
