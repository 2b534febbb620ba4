"""``layout: Quickstart`` is the seed's bundle but for what docs/seed.md tells."""

from __future__ import annotations

import copy
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from flowerbed.flower.releases import RELEASES, find
from flowerbed.kubernetes.manifests.objects import objects
from flowerbed.spec.load import parse
from flowerbed.spec.model import Federation

DOCUMENT = Path(__file__).parents[2] / "docs" / "seed.md"
SEED = Path(__file__).parent / "golden" / "seed.yaml"

Object = dict[str, Any]


def documented() -> Federation:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return parse(text, "federation.yaml").federation


def differences() -> list[tuple[str, str, Any, Any]]:
    """Return the table's rows: objects, field, what the seed has there (None: nothing), and what is rendered."""
    rows = [line.strip("|").split(" | ") for line in DOCUMENT.read_text(encoding="utf-8").splitlines()]
    cells = [[cell.strip() for cell in row] for row in rows if len(row) == 5]
    _, *body = cells
    assert len(body) >= 4
    assert all(why for *_, why in body)
    return [
        (which.strip("`"), field.strip("`"), None if seed == "–" else seed.strip("`"), yaml.safe_load(ours.strip("`")))
        for which, field, seed, ours, _ in body
    ]


def name(item: Object) -> str:
    return f"{item['kind']}/{item['metadata']['name']}"


def seed() -> dict[str, Object]:
    return {name(item): item for item in yaml.safe_load_all(SEED.read_text(encoding="utf-8"))}


def put(item: Object, field: str, before: Any, after: Any) -> None:
    *way, last = (int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", field))
    place: Any = item
    for step in way:
        place = place[step]
    assert (place.get(last) if isinstance(place, dict) else place[last]) == before, field
    place[last] = copy.deepcopy(after)


def test_the_rendered_objects_are_the_seeds_but_for_the_documented_differences() -> None:
    expected = seed()
    for which, field, before, after in differences():
        found = [item for key, item in expected.items() if fnmatchcase(key, which)]
        assert found, which
        for item in found:
            put(item, field, before, after)
    rendered = {name(item): item for item in objects(documented(), find("1.22"))}
    assert list(rendered) == list(expected)
    for key, item in rendered.items():
        assert item == expected[key], key


def test_the_golden_file_has_what_is_known_of_the_seed() -> None:
    found = seed()
    listening = ("superlink", "supernode-0", "supernode-1")
    others = ("superexec-serverapp", "superexec-clientapp-0", "superexec-clientapp-1")
    assert set(found) == {
        "Namespace/flower-system",
        *(f"Service/flower-{one}" for one in listening),
        *(f"Deployment/flower-{one}" for one in (*listening, *others)),
    }
    for key, item in found.items():
        if item["kind"] != "Deployment":
            continue
        (container,) = item["spec"]["template"]["spec"]["containers"]
        assert container["resources"] == {
            "requests": {"cpu": "250m", "memory": "256Mi"},
            "limits": {"cpu": "1", "memory": "512Mi"},
        }, key
        assert item["spec"]["selector"]["matchLabels"] == {"app": item["metadata"]["name"]}


def command_lines(release: str) -> dict[str, str]:
    made = objects(documented(), find(release))
    return {
        item["metadata"]["name"].removeprefix("flower-"): " ".join(
            item["spec"]["template"]["spec"]["containers"][0]["args"]
        )
        for item in made
        if item["kind"] == "Deployment"
    }


def test_newer_releases_get_their_own_flags() -> None:
    assert command_lines("1.42") == {
        "superlink": "--insecure --isolation process --disable-runtime-dependency-installation"
        " --host 0.0.0.0 --port 8000",
        "supernode-0": "--insecure --isolation process --superlink flower-superlink:8000 --host 0.0.0.0 --port 9094"
        " --node-config partition-id=0 num-partitions=2",
        "supernode-1": "--insecure --isolation process --superlink flower-superlink:8000 --host 0.0.0.0 --port 9095"
        " --node-config partition-id=1 num-partitions=2",
        "superexec-serverapp": "--insecure --runtime-api-address flower-superlink:8000",
        "superexec-clientapp-0": "--insecure --runtime-api-address flower-supernode-0:9094",
        "superexec-clientapp-1": "--insecure --runtime-api-address flower-supernode-1:9095",
    }
    assert command_lines("1.25")["superlink"] == (
        "--insecure --isolation process --serverappio-api-address 0.0.0.0:9091 --fleet-api-address 0.0.0.0:9092"
        " --control-api-address 0.0.0.0:9093"
    )


def test_with_every_release_whoever_is_dialled_has_a_service_with_that_port() -> None:
    for row in RELEASES:
        made = objects(documented(), row)
        services = {
            f"{item['metadata']['name']}:{port['port']}"
            for item in made
            if item["kind"] == "Service"
            for port in item["spec"]["ports"]
        }
        dialled = {
            word for line in command_lines(str(row.minor)).values() for word in re.findall(r"flower-\S+:\d+", line)
        }
        assert dialled <= services, row.minor
        workloads = {item["metadata"]["name"]: item for item in made if item["kind"] == "Deployment"}
        for item in made:
            if item["kind"] == "Service":
                (container,) = workloads[item["metadata"]["name"]]["spec"]["template"]["spec"]["containers"]
                assert [port["targetPort"] for port in item["spec"]["ports"]] == [
                    port["name"] for port in container["ports"]
                ]
