"""Which programs a federation needs, and which of them share a fate."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowerbed.flower.releases import DEFAULT, RELEASES, find
from flowerbed.flower.values import Address
from flowerbed.spec.load import parse
from flowerbed.topology.build import build, external_unit, node_config_argument, pools
from flowerbed.topology.model import PARTITION_ID, Component, Role, Topology
from flowerbed_inside.variables import EXECUTION

FILE = """
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {name: clinic}
spec:
  layout: LAYOUT
  supernodes:
    - name: hospital
      replicas: 2
      nodeConfig: {dataset: chest}
      env: {DATA: /data}
    - name: lab
"""


def topology(layout: str = "Colocated", flower: str = "1.42") -> Topology:
    row = find(flower)
    return build(parse(FILE.replace("LAYOUT", layout), "f.yaml").federation, row.contract, row.minor)


def argument_after(component: Component, flag: str) -> object:
    return component.arguments[component.arguments.index(flag) + 1]


def test_colocated_units_are_what_must_die_together() -> None:
    units = [(unit.name, [component.name for component in unit.components]) for unit in topology().units]
    assert units == [
        ("superlink", ["superlink"]),
        ("superexec-serverapp", ["superexec-serverapp"]),
        ("hospital-0", ["hospital-0", "hospital-0-superexec"]),
        ("hospital-1", ["hospital-1", "hospital-1-superexec"]),
        ("lab-0", ["lab-0", "lab-0-superexec"]),
    ]


def test_quickstart_gives_each_program_a_unit_of_its_own() -> None:
    assert all(len(unit.components) == 1 for unit in topology("Quickstart").units)
    assert {c.name for c in topology("Quickstart").components} == {c.name for c in topology().components}


def test_partition_ids_count_through_all_pools() -> None:
    configs = [argument_after(node, "--node-config") for node in topology().supernodes]
    assert configs == [
        'partition-id=0 num-partitions=3 dataset="chest"',
        'partition-id=1 num-partitions=3 dataset="chest"',
        "partition-id=2 num-partitions=3",
    ]


def test_a_pool_is_its_supernodes_described_once() -> None:
    row = find("1.42")
    found = pools(parse(FILE.replace("LAYOUT", "Colocated"), "f.yaml").federation, row.contract, row.minor)
    assert [(pool.name, pool.replicas, pool.first_partition) for pool in found] == [("hospital", 2, 0), ("lab", 1, 2)]
    described = [
        str(argument_after(pool.units[0].components[0], "--node-config")).replace(
            PARTITION_ID, str(pool.first_partition + ordinal)
        )
        for pool in found
        for ordinal in range(pool.replicas)
    ]
    assert described == [argument_after(node, "--node-config") for node in topology().supernodes]
    (unit,) = found[0].units
    assert [component.name for component in unit.components] == ["hospital", "hospital-superexec"]
    assert unit.components[1].dials == (("hospital", "runtime"),)


@given(st.text(alphabet='{}-adinoprt"\\', max_size=30))
def test_no_value_of_the_files_is_taken_for_the_partition_id(value: str) -> None:
    assert PARTITION_ID not in node_config_argument({"key": value + PARTITION_ID})


def test_every_component_dials_only_ports_that_another_listens_on() -> None:
    for flower in ("1.22", "1.31", "1.36", "1.38", "1.42"):
        components = {component.name: component for component in topology(flower=flower).components}
        for component in components.values():
            for peer, port in component.dials:
                assert port in {offered.name for offered in components[peer].ports}, (flower, component.name)
            assert bool(component.dials) == (component.role is not Role.SUPERLINK)


def test_a_pools_environment_reaches_its_own_programs_only() -> None:
    with_data = {component.name for component in topology().components if component.environment.get("DATA") == "/data"}
    assert with_data == {"hospital-0", "hospital-0-superexec", "hospital-1", "hospital-1-superexec"}


EXECUTIONS = """
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {name: clinic}
spec:
  SPEC
  superlink: {expose: {fleetAddress: "fl.example.org:9092"}}
  supernodes:
    - {name: hospital, replicas: 2}
    - {name: lab, execution: Warm}
    - {name: far, external: true, execution: Isolated}
"""


@pytest.mark.parametrize(
    ("spec", "isolated"),
    [
        ("execution: Warm", []),
        ("serverapp: {execution: Isolated}", ["superexec-serverapp"]),
        ("execution: Isolated", ["superexec-serverapp", "hospital-0-superexec", "hospital-1-superexec"]),
        (
            "execution: Isolated\n  serverapp: {execution: Warm}",
            ["hospital-0-superexec", "hospital-1-superexec"],
        ),
    ],
)
def test_superexecs_are_told_to_isolate_their_apps_and_nobody_is_told_of_the_default(
    spec: str, isolated: list[str]
) -> None:
    federation = parse(EXECUTIONS.replace("SPEC", spec), "f.yaml").federation
    for row in RELEASES:
        made = build(federation, row.contract, row.minor)
        told = {one.name: one.environment[EXECUTION] for one in made.components if EXECUTION in one.environment}
        assert told == dict.fromkeys(isolated, "Isolated")
        assert all(EXECUTION not in one.environment for one in made.components if one.role is Role.SUPERNODE)
        supernode, superexec = external_unit(federation, "far-0", row.contract, row.minor).components
        assert (supernode.environment.get(EXECUTION), superexec.environment[EXECUTION]) == (None, "Isolated")


CONFIG_VALUES = st.one_of(
    st.booleans(),
    st.integers(min_value=-(2**63), max_value=2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8", exclude_characters="\0")),
)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True), CONFIG_VALUES, max_size=5))
def test_any_node_config_survives_flowers_way_of_reading_it(config: dict[str, str | int | float | bool]) -> None:
    """Flower finds the pairs by this expression and reads each as TOML (`parse_config_args` in flwr.common.config)."""
    import re

    pairs = re.findall(r"(\S+?)=(\'[^\']*\'|\"[^\"]*\"|\S+)", node_config_argument(config))
    assert tomllib.loads("\n".join(f"{key} = {value}" for key, value in pairs)) == config


def test_the_default_release_has_one_port_for_all() -> None:
    (superlink,) = [component for component in topology(flower=str(DEFAULT.minor)).components if not component.dials]
    assert [port.name for port in superlink.ports] == ["api"]


OUTSIDE = (
    FILE.replace("LAYOUT", "Colocated").replace("name: hospital", "name: hospital\n      external: true")
    + """
  superlink: {expose: {fleetAddress: "fl.example.org:9092"}}
"""
)


def test_supernodes_elsewhere_are_counted_and_have_no_unit_here() -> None:
    row = find("1.42")
    federation = parse(OUTSIDE, "f.yaml").federation
    made = build(federation, row.contract, row.minor)
    assert [node.name for node in made.supernodes] == ["lab-0"]
    assert argument_after(made.supernodes[0], "--node-config") == "partition-id=2 num-partitions=3"
    assert made.external == ("hospital-0", "hospital-1")
    assert [(pool.name, pool.first_partition) for pool in pools(federation, row.contract, row.minor)] == [("lab", 2)]

    elsewhere = external_unit(federation, "hospital-1", row.contract, row.minor)
    assert [component.name for component in elsewhere.components] == ["hospital-1", "hospital-1-superexec"]
    supernode = elsewhere.components[0]
    assert argument_after(supernode, "--node-config") == 'partition-id=1 num-partitions=3 dataset="chest"'
    assert argument_after(supernode, "--superlink") == Address("superlink", "api")
