"""What a change of a JSON Schema breaks, for those who read events and for those who wrote them.

Old events stay in the archive and are read by new code; new events are read by software that knows the old schema.
So a change is safe only when each side still finds what it was promised: a new optional field, or a new event type on
a topic. Everything else is a new topic (`.v2`).
"""

import json
from typing import Any

Schema = dict[str, Any]
_NUMBER = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf")
WORDS = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "integer": _NUMBER,
    "number": _NUMBER,
    "array": ("items", "minItems", "maxItems", "uniqueItems"),
    "object": ("properties", "required", "additionalProperties", "minProperties", "maxProperties"),
}
"""JSON Schema keywords by the kind of value they speak about; on other kinds they say nothing."""
LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
EXACT = ("pattern", "format", "multipleOf", "uniqueItems")
ANY = "any"


def breaking_changes(old_schema: Schema, new_schema: Schema) -> list[str]:
    """One sentence for each thing in `new_schema` that breaks a promise of `old_schema`; none: compatible.

    Schemas of a topic are compared event type by event type, any other schema as a whole.
    """
    types = "x-cloudevents-types"
    if types not in old_schema:
        return _Comparison(old_schema, new_schema).values(old_schema, new_schema, "$")
    new_types: dict[str, str] = new_schema.get(types, {})
    found: list[str] = []
    for ce_type, where in old_schema[types].items():
        if ce_type not in new_types:
            found.append(f"{ce_type}: the event type was removed")
            continue
        comparison = _Comparison(old_schema, new_schema)
        found += comparison.values({"$ref": where}, {"$ref": new_types[ce_type]}, where.rsplit("/", 1)[-1])
    return found


class _Comparison:
    """Walks two schemas side by side; a pair of references met before is not walked again."""

    def __init__(self, old_root: Schema, new_root: Schema) -> None:
        self._roots = (old_root, new_root)
        self._met: set[tuple[str, str]] = set()

    def values(self, old: Schema, new: Schema, where: str) -> list[str]:
        """Compare what may stand at `where`."""
        pair = (str(old.get("$ref")), str(new.get("$ref")))
        if "$ref" in old and "$ref" in new:
            if pair in self._met:
                return []
            self._met.add(pair)
        before, after = _kinds(old, self._roots[0]), _kinds(new, self._roots[1])
        found: list[str] = []
        if ANY in after and ANY not in before:
            return [f"{where}: may now be anything, was {_listed(before)}"]
        if ANY in before and ANY not in after:
            return [f"{where}: must now be {_listed(after)}, was anything"]
        for kind in sorted(before.keys() - after.keys()):
            found.append(f"{where}: may no longer be {kind}")
        for kind in sorted(after.keys() - before.keys()):
            found.append(f"{where}: may now be {kind}, which readers do not expect")
        for kind in sorted(before.keys() & after.keys()):
            found += self._same_kind(before[kind], after[kind], where)
        return found

    def _same_kind(self, old: Schema, new: Schema, where: str) -> list[str]:
        found = [*_choices(old, new, where), *_limits(old, new, where)]
        found += self._fields(old, new, where)
        if "items" in old or "items" in new:
            found += self.values(_schema(old.get("items")), _schema(new.get("items")), f"{where}[]")
        return found

    def _fields(self, old: Schema, new: Schema, where: str) -> list[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed_before, needed_after = set(old.get("required", ())), set(new.get("required", ()))
        found = [f"{where}.{name}: the field was removed" for name in before if name not in after]
        found += [f"{where}.{name}: a new field must not be required" for name in after
                  if name not in before and name in needed_after]  # fmt: skip
        for name in before:
            if name in after:
                if name in needed_after - needed_before:
                    found.append(f"{where}.{name}: is now required, but old events may lack it")
                if name in needed_before - needed_after:
                    found.append(f"{where}.{name}: is no longer always there, but readers rely on it")
                found += self.values(_schema(before[name]), _schema(after[name]), f"{where}.{name}")
        rest_before, rest_after = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if rest_after is False and rest_before is not False:
            found.append(f"{where}: other fields are now refused")
        elif rest_before is False and rest_after is not False:
            found.append(f"{where}: other fields are now allowed, which readers refuse")
        elif rest_before is not rest_after:
            found += self.values(_schema(rest_before), _schema(rest_after), f"{where}.*")
        return found


def _kinds(schema: Schema, root: Schema) -> dict[str, Schema]:
    """The kinds of value a schema allows: JSON type (told apart by title where one comes twice) to its schema."""
    if "$ref" in schema:
        target: Any = root
        for step in str(schema["$ref"]).removeprefix("#/").split("/"):
            target = target[step]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    branches = schema.get("anyOf") or schema.get("oneOf")
    if branches:
        found: dict[str, Schema] = {}
        for branch in branches:
            for kind, part in _kinds(branch, root).items():
                found[kind if kind not in found else f"{kind} {part.get('title', len(found))}"] = part
        return found
    types = schema.get("type")
    if types is None:
        allowed = schema["enum"] if "enum" in schema else [schema["const"]] if "const" in schema else None
        types = sorted({_type_of(value) for value in allowed}) if allowed is not None else [ANY]
    return {kind: _about(kind, schema) for kind in ([types] if isinstance(types, str) else types)}


def _about(kind: str, schema: Schema) -> Schema:
    """What of `schema` says something about values of one kind."""
    others = {word for name, words in WORDS.items() if name != kind for word in words} - set(WORDS.get(kind, ()))
    part = {key: value for key, value in schema.items() if key not in others}
    if "enum" in part:
        part["enum"] = [value for value in part["enum"] if _type_of(value) == kind]
    return part


def _choices(old: Schema, new: Schema, where: str) -> list[str]:
    before, after = _allowed(old), _allowed(new)
    if before is None and after is None:
        return []
    if before is None:
        return [f"{where}: only some values are allowed now"]
    if after is None:
        return [f"{where}: any value is allowed now, which readers do not expect"]
    gone = [f"{where}: the value {value} was removed" for value in sorted(before - after)]
    return gone + [
        f"{where}: the value {value} is new, which readers do not expect" for value in sorted(after - before)
    ]


def _allowed(schema: Schema) -> set[str] | None:
    if "const" in schema:
        return {json.dumps(schema["const"])}
    return {json.dumps(value) for value in schema["enum"]} if "enum" in schema else None


def _limits(old: Schema, new: Schema, where: str) -> list[str]:
    found: list[str] = []
    for word in LOWER + UPPER:
        before, after = old.get(word), new.get(word)
        if before == after:
            continue
        narrower = before is None or (after is not None and (after > before) == (word in LOWER))
        found.append(f"{where}: {word} was {'narrowed' if narrower else 'widened'} from {before} to {after}")
    for word in EXACT:
        if old.get(word) != new.get(word):
            found.append(f"{where}: {word} changed from {old.get(word)!r} to {new.get(word)!r}")
    return found


def _schema(value: Any) -> Schema:
    return value if isinstance(value, dict) else {}


def _type_of(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null", list: "array"}
    return names.get(type(value), "object")


def _listed(kinds: dict[str, Schema]) -> str:
    return ", ".join(sorted(kinds))
