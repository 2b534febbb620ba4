"""Apps of all kinds are baked, and run as their images hold them, by digest."""

from __future__ import annotations

import os
import shutil

import pytest

from cluster.images import torch_images
from federation.beds import Bed
from kubernetes.beds import Baking, Make

RELEASE = "1.42.0"

pytestmark = [pytest.mark.flower, pytest.mark.timeout(600)]

FLOWER = """
[tool.flwr.app]
publisher = "tests"
[tool.flwr.app.components]
serverapp = "slow_app.server_app:app"
clientapp = "slow_app.client_app:app"
[tool.flwr.app.config]
num-server-rounds = 1
seconds = 0.0
until = ""
min-available-nodes = 2
only-round = 0
"""
SETUPTOOLS = """\
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"
[project]
name = "slow"
version = "1.0.0"
license = {text = "Apache-2.0"}
description = "All of its dependencies are on one line."
dependencies = ["flwr[simulation]>=1.22.0", "more-itertools>=10", "tqdm"]
[tool.setuptools]
packages = ["slow_app"]
"""
POETRY = """\
[build-system]
requires = ["poetry-core>=2"]
build-backend = "poetry.core.masonry.api"
[project]
name = "slow"
version = "1.0.0"
license = {text = "Apache-2.0"}
description = "Poetry alone knows its dependencies."
dynamic = ["dependencies"]
[tool.poetry]
packages = [{include = "slow_app"}]
[tool.poetry.dependencies]
python = ">=3.11"
flwr = ">=1.22"
more-itertools = "^10.0"
tqdm = "^4.0"
"""
FLIT = """\
[build-system]
requires = ["flit_core>=3.2"]
build-backend = "flit_core.buildapi"
[project]
name = "slow_app"
version = "1.0.0"
license = {text = "Apache-2.0"}
description = "A marker says which of its dependencies it needs here."
dependencies = [
    "flwr>=1.22",
    "more-itertools; python_version >= '3.9'",
    "pywin32; sys_platform == 'win32'",
    "tqdm",
]
"""


@pytest.mark.parametrize("project", [SETUPTOOLS, POETRY, FLIT], ids=["setuptools", "poetry", "flit"])
def test_an_app_of_any_back_end_is_baked_and_run_by_its_digest(project: str, cluster_bed: Make, baking: Baking) -> None:
    bed = cluster_bed("slow")
    (bed.folder / "pyproject.toml").write_text(project.replace('"slow_app"\n', '"slow-app"\n') + FLOWER)
    client = bed.folder / "slow_app" / "client_app.py"
    code = client.read_text()
    client.write_text(code.replace("import time\n", "import time\nimport more_itertools\nimport tqdm\n", 1))

    name = f"{baking.registry}/tests/{bed.namespace}:1"
    made = baking.bake(bed.folder, name, RELEASE)
    assert [one.partition("==")[0] for one in made["packages"]] == ["more-itertools", "tqdm"]
    assert made["tried"]

    more = f'  security: {{images: Pinned}}\n  images: {{registry: "{baking.registry}"}}'
    bed.write(RELEASE, image=name, more=more)
    locked = {line["image"]: line["digest"] for line in Bed(bed.folder)("lock").lines if line["type"] == "image"}
    assert locked[name] == made["digest"]
    shutil.rmtree(bed.folder / "slow_app")  # what runs is in the image
    (bed.folder / "pyproject.toml").unlink()
    said = bed("run", "--baked", "--run-config", "num-server-rounds=1")
    assert said.last("run")["verdict"] == "succeeded"
    assert said.status == 0, (said.lines[-1:], said.errors)


@pytest.mark.skipif(
    os.environ.get("FLOWERBED_TORCH") != "1", reason="FLOWERBED_TORCH=1 makes an image with torch: 1 GB"
)
@pytest.mark.timeout(1200)
def test_a_torch_of_the_base_is_left_to_it(cluster_bed: Make, baking: Baking) -> None:
    bed = cluster_bed("torch-app")
    bed.cluster.offer(torch_images(RELEASE))
    base, name = f"{baking.registry}/torch/superexec:{RELEASE}", f"{baking.registry}/tests/torch:1"
    bed.write(RELEASE, image=name)
    file = bed.folder / "federation.yaml"
    build = f'build: {{base: "{base}", providedByBase: [torch]}}'
    file.write_text(file.read_text().replace(f'image: "{name}"', f'image: "{name}", {build}'))
    with (bed.folder / "pyproject.toml").open("a") as pyproject:  # that torch is older than NumPy 2
        pyproject.write('\n[tool.uv]\nconstraint-dependencies = ["numpy<2"]\n')
    built = Bed(bed.folder)("build", ".", "--push")
    assert built.status == 0, built.lines[-1:]
    made = built.last("built")
    assert made["tried"]
    assert not [one for one in made["packages"] if one.startswith(("torch", "nvidia", "triton"))]
    said = bed("run", "--baked")
    assert said.last("run")["verdict"] == "succeeded"
    assert said.status == 0, (said.lines[-1:], said.errors)
