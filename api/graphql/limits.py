"""How much one request may ask for: tokens, depth, and values in the answer. Decided before anything is resolved.

The library's own limits walk every fragment again wherever it is spread, which a few lines of fragments make endless.
This rule looks at each fragment once.
"""

from dataclasses import dataclass

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
)

MAX_TOKENS = 1_000
MAX_DEPTH = 10
MAX_COST = 10_000
MAX_LIMIT = 200
PAGED = {"importJobs": 20, "importCredentials": 50}
"""Fields that answer as many items as `limit` says, and how many they do without it."""
MANY = {"importPlatforms": 20, "auths": 3, "fields": 6, "filters": 6}
"""Fields that answer a list about so long."""
DEAR = 1_000
"""What asks a platform, or changes something, costs as much as so many values."""
DEAR_FIELDS = frozenset({"importPreview"})


@dataclass(frozen=True, slots=True)
class Size:
    """Of a part of a document: how deep it goes, and how many values it makes at most."""

    depth: int = 0
    cost: int = 0


class SizeLimit(ValidationRule):
    """Refuses a document that is deeper than 10, or may answer more than 10,000 values."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._fragments = {
            each.name.value: each for each in context.document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self._known: dict[str, Size] = {}
        self._open: set[str] = set()

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: object) -> None:
        """Look at an operation as a whole."""
        size = self._of(node.selection_set, DEAR if node.operation.value == "mutation" else 0)
        if size.depth > MAX_DEPTH:
            self._refuse(node, f"This asks {size.depth} levels deep; {MAX_DEPTH} are allowed. Ask in several requests.")
        if size.cost > MAX_COST:
            self._refuse(
                node,
                f"This may answer {size.cost} values; {MAX_COST} are allowed (a mutation or a preview counts as "
                f"{DEAR}). Ask for fewer fields, or with a smaller limit.",
            )

    def _refuse(self, node: OperationDefinitionNode, sentence: str) -> None:
        self.report_error(GraphQLError(sentence, [node], extensions={"reason": "too_much", "status": 422}))

    def _of(self, selections: SelectionSetNode, each: int = 0) -> Size:
        """`each`: what every field here costs on top."""
        depth = cost = 0
        for node in selections.selections:
            if isinstance(node, FieldNode):
                size = self._field(node)
                size = Size(size.depth, size.cost + each)
            elif isinstance(node, FragmentSpreadNode):
                size = self._fragment(node.name.value, each)
            elif isinstance(node, InlineFragmentNode):
                size = self._of(node.selection_set, each)
            else:
                continue
            depth, cost = max(depth, size.depth), cost + size.cost
        return Size(depth, cost)

    def _field(self, node: FieldNode) -> Size:
        name = node.name.value
        if name.startswith("__"):
            return Size(1, 1)  # the schema: how deep that goes has a rule of its own in the library
        inner = self._of(node.selection_set) if node.selection_set else Size()
        own = DEAR if name in DEAR_FIELDS else 1
        return Size(1 + inner.depth, own + _length(node) * inner.cost)

    def _fragment(self, name: str, each: int) -> Size:
        fragment = self._fragments.get(name)
        if fragment is None or name in self._open:
            return Size()  # other rules say that it is not there, or spreads itself
        key = f"{name} {each}"
        if key not in self._known:
            self._open.add(name)
            self._known[key] = self._of(fragment.selection_set, each)
            self._open.discard(name)
        return self._known[key]


def _length(node: FieldNode) -> int:
    """How many items the field answers at most. A limit in a variable may be the largest."""
    name = node.name.value
    for argument in (node.arguments or ()) if name in PAGED else ():
        if argument.name.value == "limit":
            value = argument.value
            return min(max(int(value.value), 1), MAX_LIMIT) if isinstance(value, IntValueNode) else MAX_LIMIT
    return PAGED.get(name) or MANY.get(name, 1)
