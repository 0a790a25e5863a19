"""The forms of the concave mask: what the documentation tells is what is stored, and forms can be made."""

from pathlib import Path

import pytest

from figures import concave_forms, stored

PAGE = Path(__file__).parents[2] / "docs" / "concave_masks.md"


def test_the_tables_of_the_page_are_the_stored_ones():
    data, page = stored.read("concave_forms"), PAGE.read_text()
    for name in {row["data"] for row in data["rows"]}:
        assert concave_forms.table(data, name) in page
    assert concave_forms.table_of_lam(data) in page


@pytest.mark.parametrize(("name", "method", "options"), concave_forms.FORMS, ids=lambda v: str(v))
def test_every_form_has_its_own_address_and_options_that_exist(name, method, options):
    from nets import Play
    from nets.runs.canonical import address

    others = {address(Play(method=m, options=o)) for form, m, o in concave_forms.FORMS if form != name}
    assert address(Play(method=method, options=options)) not in others


def test_every_form_is_stored_at_every_density_with_every_seed():
    rows = stored.read("concave_forms")["rows"]
    seeds = {row["seed"] for row in rows if row["data"] == "digits"}
    for form, _, _ in concave_forms.FORMS:
        for density in concave_forms.DENSITIES:
            found = [
                r["seed"] for r in rows if (r["data"], r["form"], r["asked"]) == ("digits", form, density)
            ]
            assert sorted(found) == sorted(seeds)
    assert seeds
