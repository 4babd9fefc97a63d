"""Guards the storage format: ``--check`` says what has changed without a version, a type's name records it.

``make event-version NAME=vote-cast`` begins a new version of a type, or records a new type, or a field that was
added with a default. ``NAME=decision``, a category, records the state of that aggregate. Without a name it records
all types and aggregates that are new.
"""

import sys
from collections.abc import Iterator, Mapping

from ledger.domain.event import Event
from ledger.upcasters.chain import CHAIN, Chain
from tools.event_types import AnyDecider, aggregate_of, deciders, event_types
from tools.golden import Golden, Recorded, state_of
from tools.shapes import Difference, difference, shape_of
from tools.upcaster_scaffold import scaffold


def findings(
    golden: Golden,
    types: Mapping[str, type[Event]],
    aggregates: Mapping[str, AnyDecider],
    chain: Chain = CHAIN,
) -> Iterator[str]:
    """Say everything that was changed and not recorded, and what to do about each."""
    for name in golden.names():
        if name not in types:
            yield f"{name} has golden files and is no event of this release: types are never taken away, bring it back."
    for name, event in types.items():
        yield from _about_type(golden, name, event, chain)
    for category, decider in aggregates.items():
        yield from _about_state(golden, category, decider)


def _about_type(golden: Golden, name: str, event: type[Event], chain: Chain) -> Iterator[str]:
    recorded = golden.recorded(name)
    if recorded is None:
        yield f"{name} is a new type: run 'make event-version NAME={name}' and commit what it writes."
        return
    yield from _about_files(golden, name, recorded, chain)
    if event.schema_version > recorded.version:
        yield (
            f"{name} is at version {event.schema_version} and has golden files up to {recorded.version}: "
            f"run 'make event-version NAME={name}' and commit what it writes."
        )
    elif event.schema_version < recorded.version:
        yield f"{name} was at version {recorded.version} before: versions only rise."
    else:
        changed = difference(recorded.fields, shape_of(event))
        if list(changed.lines()):
            yield ways_out(name, event, changed)


def _about_files(golden: Golden, name: str, recorded: Recorded, chain: Chain) -> Iterator[str]:
    found = golden.digests(name)
    for file, digest in recorded.golden.items():
        if found.get(file) != digest:
            yield f"tests/golden/{name}/{file} is not as it was stored: golden files are never edited, restore it."
    for file in found.keys() - recorded.golden.keys():
        yield f"tests/golden/{name}/{file} is not recorded: run 'make event-version NAME={name}'."
    for version in range(1, recorded.version):
        if (name, version) in chain and f"v{version}.json" not in recorded.golden:
            yield f"tests/golden/{name}/v{version}.json is missing: each version that can be read has its golden file."


def ways_out(name: str, event: type[Event], changed: Difference) -> str:
    """Say how a changed shape can be made right; which of the three ways applies is told."""
    version = event.schema_version
    lines = [f"{name} has changed under version {version}:", *(f"  {line}" for line in changed.lines())]
    if changed.is_additive:
        lines.append(
            f"  Way 1 applies, fields with a default that is true of all older events: run 'make event-version NAME={name}'."
        )
        return "\n".join(lines)
    new_only = not (changed.gone or changed.changed)
    first = "applies if there is a default that is true of all older events" if new_only else "does not apply"
    lines += [
        f"  Way 1, new fields with a default and nothing else: {first}.",
        f"  Way 2, a new version: set schema_version to {version + 1}, run 'make event-version NAME={name}', fill in the upcaster.",
        f"  Way 3, another fact: leave {name} as it was and make a new type beside it.",
    ]
    return "\n".join(lines)


def _about_state(golden: Golden, category: str, decider: AnyDecider) -> Iterator[str]:
    recorded, now = golden.recorded_state(category), state_of(decider)
    command = f"run 'make event-version NAME={category}'"
    if recorded is None:
        yield f"The state of {category} is not recorded: {command}."
    elif recorded == now:
        return
    elif recorded.version == now.version:
        yield (
            f"The state of {category} has changed under version {now.version} of its rules, and snapshots of the old "
            f"one are out there: raise 'version' of its Decider to {now.version + 1}, then {command}."
        )
    elif recorded.version > now.version:
        yield f"The rules of {category} were at version {recorded.version} before: versions only rise."
    else:
        yield f"The rules of {category} are at version {now.version}: {command}."


def record(golden: Golden, name: str, event: type[Event], chain: Chain = CHAIN) -> Iterator[str]:
    """Begin a new version or record a new or grown type; say what was written, or why nothing was."""
    recorded = golden.recorded(name)
    if recorded is not None and event.schema_version == recorded.version:
        changed = difference(recorded.fields, shape_of(event))
        if not changed.is_additive:
            yield ways_out(name, event, changed)
            return
    yield f"Golden file: {golden.write_example(name, event).name} of {name}"
    if event.schema_version > 1 and (name, event.schema_version - 1) not in chain:
        yield from scaffold(aggregate_of(event), name, event.schema_version - 1)
        yield f"Fill in the upcaster, then run 'make event-version NAME={name}' again."
    else:
        for file in golden.digests(name):
            golden.write_current(name, event, int(file.removeprefix("v").removesuffix(".json")))
        yield "What each golden file reads as today: look at the difference."
    golden.write_shape(name, event)
    yield "Then 'make events' for the catalogue, and a line under Stored formats in CHANGELOG.md."


def unrecorded(
    golden: Golden, types: Mapping[str, type[Event]], aggregates: Mapping[str, AnyDecider]
) -> list[str]:
    """Name the types and aggregates that are new: those that take no thought to record."""
    return [
        *(name for name in types if golden.recorded(name) is None),
        *(category for category in aggregates if golden.recorded_state(category) is None),
    ]


def main(arguments: list[str]) -> int:
    """Check, or record what is named; 0 when all is well."""
    golden, types, aggregates = Golden(), event_types(), deciders()
    if arguments == ["--check"]:
        found = list(findings(golden, types, aggregates))
        print("\n".join(found) or f"{len(types)} event types and {len(aggregates)} states are as recorded.")
        return 1 if found else 0
    for name in arguments or unrecorded(golden, types, aggregates):
        if name in types:
            print("\n".join(record(golden, name, types[name])))
        elif name in aggregates:
            golden.write_state(aggregates[name])
            print(f"The state of {name}, version {aggregates[name].version} of its rules, is recorded.")
        else:
            print(
                f"There is no event type and no aggregate called {name!r}: {', '.join([*types, *aggregates])}"
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
