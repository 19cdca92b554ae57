"""Outcomes and reasons are written to the ledger: their spelling is a promise."""

from schemas.outcomes import FailureReason, Outcome


def test_values_are_the_names_in_lower_case_when_written():
    assert all(member.value == member.name.lower() for member in (*Outcome, *FailureReason))


def test_a_member_equals_its_text_when_it_comes_back_from_a_file():
    assert Outcome("rejected") is Outcome.REJECTED
    assert FailureReason.HTTP_GONE == "http_gone"
