"""What attributes of an item must be for it to be recommended."""

from collections.abc import Mapping, Sequence

from state.settings import Rule

Value = str | float | bool | None


class Rules:
    """All of some rules together."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules

    def admit(self, attributes: Mapping[str, Value]) -> bool:
        """Whether every rule is met."""
        return all(_meets(attributes.get(rule.attribute), rule) for rule in self._rules)


def _meets(value: Value, rule: Rule) -> bool:
    if any(_same(value, other) for other in rule.none_of):
        return False
    if rule.any_of and not any(_same(value, other) for other in rule.any_of):
        return False
    if rule.least is None and rule.most is None:
        return True
    if value is None or isinstance(value, str | bool):
        return False
    return (rule.least is None or value >= rule.least) and (rule.most is None or value <= rule.most)


def _same(value: Value, other: Value) -> bool:
    """Equal and of one kind: True is not 1 here."""
    return isinstance(value, bool) == isinstance(other, bool) and value == other
