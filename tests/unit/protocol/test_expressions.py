"""JMESPath of administrators, within bounds."""

from __future__ import annotations

import time

import pytest

from idp.protocol.expressions import LONGEST, Expression, Lazy, Unusable, read, weigh

DATA = {
    "groups": ["grafana-admins", "grafana-viewers", "staff"],
    "user": {"email": "mary@example.com", "app_metadata": {"plan": "gold"}, "n": 3},
}
DOUBLING = "groups" + " | [@, @, @, @, @, @, @, @][]" * 15
PILE = "groups" + " | [@, @, @, @, @, @, @, @]" * 15


def root(**more) -> Lazy:
    return Lazy({name: lambda value=value: value for name, value in (DATA | more).items()})


def value(text: str, **more):
    return read(text).value(root(**more))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("groups", DATA["groups"]),
        ("groups[?starts_with(@, 'grafana-')]", ["grafana-admins", "grafana-viewers"]),
        ("user.app_metadata.plan", "gold"),
        ("contains(groups, 'staff') && 'Editor' || 'Viewer'", "Editor"),
        ("user.nothing", None),
        ("nothing", None),
        ("{plan: user.app_metadata.plan, first: groups[0]}", {"plan": "gold", "first": "grafana-admins"}),
        ("join(',', groups)", "grafana-admins,grafana-viewers,staff"),
        ("sort(keys(@))", ["groups", "user"]),
        ("length(*)", 2),
        ("@.user.n", 3),
        ('user."email"', "mary@example.com"),
    ],
)
def test_an_expression_gives_what_jmespath_says(text, found):
    assert value(text) == found


@pytest.mark.parametrize(
    "text", ["groups[", "", "  ", None, 7, "x" * (LONGEST + 1), "(" * 900 + "a" + ")" * 900, "!" * 900 + "a"]
)
def test_what_is_no_expression_is_refused_when_it_is_read(text):
    with pytest.raises(Unusable):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "join(',', user)",
        "nobody_knows(@)",
        "sum(groups)",
        "&groups",
        "sort_by(groups, &length(user))",
        "abs('x')",
        "max_by(@, &x)",
        "to_number(user)[0].abs(groups)",
    ],
)
def test_an_expression_that_fails_says_why_and_nothing_else_happens(text):
    with pytest.raises(Unusable):
        value(text)


@pytest.mark.parametrize(
    "text",
    [
        DOUBLING,
        PILE,
        f"to_string({PILE})",
        f"({PILE}) == ({PILE})",
        f"{{a: {PILE}, b: {PILE}}} | a == b",
        "join('', groups)" + " | join('', [@, @, @, @, @, @, @, @])" * 15,
        "many[].[many]",
        "many[?contains(to_string(@), 'x')].[@, @, @, @] | [@, @] | [@, @] | to_string(@)",
        "map(&to_string([@, @, @, @, @, @, @, @]), many)" + " | map(&to_string([@, @, @, @]), @)" * 20,
    ],
)
def test_an_expression_that_grows_without_end_is_stopped_soon(text):
    many = [f"group-{n}" for n in range(2000)]
    expression = read(text)
    begun = time.process_time()
    try:
        found = expression.value(root(many=many))
    except Unusable:
        found = None
    weigh(found, 1_000_000)
    assert time.process_time() - begun < 5  # seconds of a processor, on a slow machine


def test_two_thousand_groups_are_filtered():
    many = [f"grafana-{n}" if n % 2 else f"other-{n}" for n in range(2000)]
    assert len(value("groups[?starts_with(@, 'grafana-')]", groups=many)) == 1000


def test_only_the_names_that_an_expression_uses_are_made():
    made: list[str] = []
    lazy = Lazy({name: lambda name=name: made.append(name) or [name] for name in ("groups", "roles", "user")})
    assert read("[groups, groups][]").value(lazy) == ["groups", "groups"]
    assert made == ["groups"]
    assert sorted(read("@").value(lazy)) == ["groups", "roles", "user"]


def test_a_weight_is_that_of_json_more_or_less():
    assert weigh(["ab"], 100) <= 12
    with pytest.raises(Unusable, match="more than 10"):
        weigh(["a" * 20], 10)
    with pytest.raises(Unusable, match="JSON"):
        weigh({"a": object()}, 100)


def test_expressions_of_the_same_text_are_the_same():
    assert read("groups") == read("groups") == Expression("groups", None)
