"""What container engines are told, and what of this machine a build gets to know. No engine is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowerbed.errors import ImageFailed
from flowerbed.image import engine
from flowerbed.image.engine import Engine, build_command, push_command
from flowerbed.image.index_settings import certificates, pip_conf, read_listed, settings

FAR, NEAR = "registry.example.org/team/app:1", "127.0.0.1:5000/team/app:1"
SECRETS = {"pip.conf": Path("/t/pip.conf"), "ca.crt": Path("/t/ca.crt")}
END = (
    "--file /r/Containerfile --tag registry.example.org/team/app:1 --platform linux/arm64"
    " --secret id=pip.conf,src=/t/pip.conf --secret id=ca.crt,src=/t/ca.crt /r"
)


@pytest.mark.parametrize(
    ("made_by", "build", "push"),
    [
        (Engine.BUILDAH, "buildah build --layers --format oci", f"buildah push {FAR} docker://{FAR}"),
        (Engine.PODMAN, "podman build --layers --format oci", f"podman push {FAR}"),
        (
            Engine.DOCKER,
            "docker buildx build --output type=docker,oci-mediatypes=true --progress plain --provenance=false",
            f"docker push {FAR}",
        ),
    ],
)
def test_how_each_engine_is_called(made_by: Engine, build: str, push: str) -> None:
    assert " ".join(build_command(made_by, Path("/r"), FAR, "linux/arm64", FAR, SECRETS)) == f"{build} {END}"
    assert " ".join(push_command(made_by, FAR)) == push


def test_a_registry_on_this_machine_is_spoken_with_as_it_is() -> None:
    for made_by in (Engine.BUILDAH, Engine.PODMAN):
        assert "--tls-verify=false" in build_command(made_by, Path("/r"), FAR, "linux/amd64", NEAR, {})
        assert "--tls-verify=false" not in build_command(made_by, Path("/r"), NEAR, "linux/amd64", FAR, {})
        assert "--tls-verify=false" in push_command(made_by, NEAR)
    assert "--tls-verify=false" not in push_command(Engine.DOCKER, NEAR)  # it knows no such option, and needs none


def test_an_engine_that_is_not_here_is_told_with_one_that_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImageFailed, match="--engine: there is no program podman on this machine") as caught:
        engine.check(Engine.PODMAN)
    assert caught.value.hint == "Install it; or write a recipe with --containerfile, and build that elsewhere."
    (tmp_path / "buildah").write_text("#!/bin/sh\n")
    (tmp_path / "buildah").chmod(0o755)
    engine.check(Engine.BUILDAH)
    with pytest.raises(ImageFailed) as caught:
        engine.check(Engine.PODMAN)
    assert caught.value.hint == "Install it, or say --engine buildah, which is here."


DOCKER = """\
#!/bin/sh
case "$1" in
  --version) echo "Docker version 28.2.2, build e6534b4" ;;
  buildx) {buildx} ;;
  version) {daemon} ;;
esac
"""
NO_DAEMON = "echo; echo 'Cannot connect to the Docker daemon at unix:///a. Is it running?' >&2; exit 1"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (
            DOCKER.format(buildx="echo v0.14.1", daemon=NO_DAEMON),
            """\
--engine: Docker's daemon does not answer: Cannot connect to the Docker daemon at unix:///a. Is it running?
Start it, or have yourself added to the group docker, or say --engine podman, which is here.""",
        ),
        (
            DOCKER.format(buildx="echo docker: no such command: buildx >&2; exit 1", daemon="echo 28.2.2"),
            """\
--engine: Docker cannot build with BuildKit here: docker: no such command: buildx
Install its plug-in buildx (docker-buildx or docker-buildx-plugin), or say --engine podman, which is here.""",
        ),
        (
            "#!/bin/sh\necho podman version 4.3.1\n",
            """\
--engine: the program docker is not Docker's own, but podman version 4.3.1
If it is Podman by another name, say --engine podman.""",
        ),
        (DOCKER.format(buildx="echo v0.14.1", daemon="echo 28.2.2"), ""),
    ],
)
def test_docker_needs_a_daemon_and_its_plug_in(
    program: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, text in (("docker", program), ("podman", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    if said:
        with pytest.raises(ImageFailed) as caught:
            engine.check(Engine.DOCKER)
        assert str(caught.value) == said
    else:
        engine.check(Engine.DOCKER)


def test_what_an_engine_says_is_told_and_is_the_reason_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("FLOWERBED_CACHE_DIR", str(tmp_path / "cache"))
    program = tmp_path / "podman"
    told: list[str] = []
    # It reads its secret, as a build would, and shows who may read it.
    program.write_text('#!/bin/sh\nfor part; do :; done\necho "STEP 1 $1"\nstat -c %a "$(dirname "${12#*src=}")"\n')
    program.chmod(0o755)
    engine.build(Engine.PODMAN, tmp_path, FAR, "linux/amd64", FAR, {"pip.conf": "[global]\n"}, told.append)
    assert told == ["STEP 1 build", "700"]
    assert not any((tmp_path / "cache").rglob("pip.conf"))
    program.write_text("#!/bin/sh\necho STEP 2\necho no such thing >&2\nexit 125\n")
    with pytest.raises(ImageFailed) as caught:
        engine.push(Engine.PODMAN, FAR, told.append)
    assert caught.value.message == f"podman could not push {FAR}; it ended with 125\nSTEP 2\nno such thing"


# What Docker 26.1 says with --progress plain, and Podman 4.3, where there is no compiler; all but the instruction.
BUILDKIT = """\
#5 sha256:96e29e149c96 8.39MB / 59.13MB 0.1s
#6 ...
#7 [wheels 3/4] RUN --mount=type=secret {long} touch /wheels/1
#7 4.595 Building wheels for collected packages: pyaudio
#7 4.972
#7 4.972       error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-gcc'
#7 4.976 ERROR: Failed to build one or more wheels
#7 ERROR: process "/bin/sh -c python {long} touch /wheels/1" did not complete successfully: exit code: 1
------
 > [wheels 3/4] RUN --mount=type=secret {long} touch /wheels/1:
4.972       error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-gcc'
4.976 ERROR: Failed to build one or more wheels
------
Containerfile:16
--------------------
  15 |     COPY requirements.txt /wheels/
  16 | >>> RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \\
  17 |     WORKDIR /wheels
--------------------
ERROR: failed to solve: process "/bin/sh -c python {long} touch /wheels/1" did not complete successfully: exit code: 1
"""
PODMAN = """\
Building wheels for collected packages: pyaudio

      error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-gcc'
ERROR: Failed to build one or more wheels
Error: building at STEP "RUN --mount=type=secret {long} touch /wheels/1": exit status 1
"""


@pytest.mark.parametrize(
    ("said", "begin", "end"),
    [
        (
            BUILDKIT,
            'ERROR: failed to solve: process "/bin/sh -c python xxx',
            ' touch /wheels/1" did not complete successfully: exit code: 1',
        ),
        (PODMAN, 'Error: building at STEP "RUN --mount=type=secret xxx', ' touch /wheels/1": exit status 1'),
    ],
)
def test_the_reason_is_what_the_step_said_and_what_to_do_about_it(
    said: str, begin: str, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "said").write_text(said.format(long="x" * 300))
    (tmp_path / "docker").write_text(f"#!/bin/sh\ncat {tmp_path}/said >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    told: list[str] = []
    with pytest.raises(ImageFailed) as caught:
        engine.build(Engine.DOCKER, tmp_path, FAR, "linux/amd64", FAR, {}, told.append)
    *lines, last = caught.value.message.splitlines()
    assert lines == [
        f"docker could not build {FAR}; it ended with 1",
        "Building wheels for collected packages: pyaudio",
        "      error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-gcc'",
        "ERROR: Failed to build one or more wheels",
    ]
    assert (last.startswith(begin), " … " in last, last.endswith(end)) == (True, True, True), last
    assert caught.value.hint == (
        "Say --compiler; what else it needs to be compiled belongs into spec.app.build.aptPackages."
    )
    assert max(map(len, told)) < 250
    assert not any("MB / " in line or line.endswith("...") for line in told)


# --- the index -------------------------------------------------------------------------------------------


LISTED = """\
:env:.index-url='https://own.example.org/simple'
:env:.find-links='/opt/wheels https://files.example.org/wheels'
global.index-url='https://user:p%40ss@pypi.example.org/simple'
global.extra-index-url='\\nhttps://a.example.org/simple\\nhttps://b.example.org/simple'
global.cert='/etc/ssl/own.pem'
global.default-timeout='180'
download.index-url='https://elsewhere.example.org'
install.trusted-host="it's.example.org"
"""


def test_settings_of_pip_are_read_the_environment_before_the_files() -> None:
    found = settings(read_listed(LISTED), {}, {})
    assert pip_conf(found) == (
        "[global]\n"
        "index-url = https://own.example.org/simple\n"
        "extra-index-url = https://a.example.org/simple https://b.example.org/simple\n"
        "find-links = https://files.example.org/wheels\n"  # the folder is not there in a build
        "trusted-host = it's.example.org\n"
        "timeout = 180\n"
    )


def test_what_uv_is_told_goes_before_and_what_the_app_says_comes_on_top() -> None:
    environment = {
        "UV_DEFAULT_INDEX": "https://uv.example.org/simple",
        "UV_INDEX": "gpu=https://gpu.example.org/simple",
    }
    of_app = {
        "index": [{"name": "torch", "url": "https://torch.example.org/cpu"}, {"url": "https://d.org", "default": True}],
        "find-links": ["./wheels"],
    }
    assert settings(read_listed(LISTED), environment, of_app)["index-url"] == "https://uv.example.org/simple"
    assert settings({}, environment, of_app)["extra-index-url"] == (
        "https://gpu.example.org/simple https://torch.example.org/cpu"
    )
    assert settings({}, {}, of_app) == {
        "index-url": "https://d.org",
        "extra-index-url": "https://torch.example.org/cpu",
    }
    assert settings({}, {"PIP_INDEX_URL": "https://pip.example.org"}, {}) == {"index-url": "https://pip.example.org"}


def test_the_certificates_are_pips_then_those_of_the_environment(tmp_path: Path) -> None:
    own, other = tmp_path / "own.pem", tmp_path / "other.pem"
    own.touch()
    other.touch()
    assert certificates({"cert": str(own)}, {"SSL_CERT_FILE": str(other)}) == own
    assert certificates({"cert": str(own)}, {"PIP_CERT": str(other)}) == other
    assert certificates({"cert": str(tmp_path / "gone.pem")}, {"SSL_CERT_FILE": str(other)}) == other
    assert certificates({}, {}) is None
