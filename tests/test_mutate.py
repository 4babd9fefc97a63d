"""The list of surviving mutants is complete, and says nothing that is true no more."""

from tools.mutate import LISTED, Listed, Mutant, Survivor, verdict

HALF = Mutant("ledger.upcasters.chain.x_way", "version <= current", "version < current")
OTHER = Mutant("ledger.domain.ids.x_f", "1", "2")


def listed(*mutants):
    return Listed(
        tuple(Survivor(mutant.function, mutant.was, mutant.becomes, "a reason") for mutant in mutants)
    )


def test_a_survivor_that_is_listed_is_not_spoken_of():
    assert verdict("upcasters", [HALF], listed(HALF)) == []


def test_a_survivor_that_is_not_listed_is_told():
    (told,) = verdict("upcasters", [HALF], listed())

    assert told.startswith("survives and is not listed: ledger.upcasters.chain.x_way")
    assert "+ version < current" in told


def test_each_of_two_that_are_alike_needs_a_line_of_its_own():
    assert len(verdict("upcasters", [HALF, HALF], listed(HALF))) == 1


def test_a_line_that_is_true_no_more_is_told():
    (told,) = verdict("upcasters", [], listed(HALF))

    assert told.startswith("is listed and survives no more")


def test_a_floor_is_judged_by_its_own_lines():
    assert verdict("domain", [OTHER], listed(OTHER, HALF)) == []


def test_the_list_lies_where_the_tests_are():
    assert LISTED.exists()
