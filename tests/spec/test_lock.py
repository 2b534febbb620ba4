"""federation.lock is read back as it was written, and says what to do when it cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowerbed.errors import SpecError
from flowerbed.spec.kubernetes_values import IMAGE
from flowerbed.spec.lock import Lock, read_lock

DIGEST = "sha256:" + "0a" * 32
LOCK = Lock(flower="1.42.0", python="3.11", requirements=DIGEST, environment="flwr-1.42.0-py3.11-abc")
TEXT = f"""\
# Written by Flowerbed; commit it to get the same Flower everywhere. Delete it to take newer releases.
version = 1
flower = "1.42.0"
python = "3.11"
requirements = "{DIGEST}"
environment = "flwr-1.42.0-py3.11-abc"
"""


def failure(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        read_lock(text, "federation.lock")
    return str(caught.value)


def test_what_is_written() -> None:
    assert LOCK.render() == TEXT
    assert read_lock(TEXT, "federation.lock") == LOCK


IMAGES = Lock(flower="1.42.0", images={"flwr/superlink:1.42.0": DIGEST, "registry.example:5000/a/app": DIGEST})
IMAGES_TEXT = f"""\
# Written by Flowerbed; commit it to get the same Flower everywhere. Delete it to take newer releases.
version = 1
flower = "1.42.0"

[images]
"flwr/superlink:1.42.0" = "{DIGEST}"
"registry.example:5000/a/app" = "{DIGEST}"
"""


def test_a_lock_of_images_needs_no_environment() -> None:
    assert IMAGES.render() == IMAGES_TEXT
    assert read_lock(IMAGES_TEXT, "federation.lock") == IMAGES


APT = Lock(
    flower="1.42.0",
    apt_packages={
        "linux/arm64": {"git": "1:2.39.5-0+deb12u2"},
        "linux/amd64": {"libgomp1": "12.2.0-14", "git": "1:2.39"},
    },
)
APT_TEXT = """\
# Written by Flowerbed; commit it to get the same Flower everywhere. Delete it to take newer releases.
version = 1
flower = "1.42.0"

[aptPackages."linux/amd64"]
"git" = "1:2.39"
"libgomp1" = "12.2.0-14"

[aptPackages."linux/arm64"]
"git" = "1:2.39.5-0+deb12u2"
"""


def test_packages_of_debian_are_locked_by_platform() -> None:
    assert APT.render() == APT_TEXT
    assert read_lock(APT_TEXT, "federation.lock") == APT


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (APT_TEXT.replace("12.2.0-14", "12.2.0 14"), 5),
        (APT_TEXT.replace('"1:2.39.5-0+deb12u2"', "2"), 9),
        (APT_TEXT.replace("linux/arm64", "arm64"), 9),
        (APT_TEXT.partition("\n[")[0] + "aptPackages = 3\n", 4),
    ],
)
def test_damaged_packages_are_named_with_their_line(text: str, line: int) -> None:
    assert f"federation.lock:{line}:1: aptPackages: wanted names and versions below a platform" in failure(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            IMAGES_TEXT.replace("sha256:", "sha512:"),
            "federation.lock:6:1: images: wanted an image's name and its digest",
        ),
        (IMAGES_TEXT.replace("flwr/superlink", "flwr//superlink"), "found 'flwr//superlink:1.42.0'"),
        (IMAGES_TEXT.replace(f'"{DIGEST}"', "1"), "images: wanted an image's name and its digest"),
        (
            'version = 1\nflower = "1.42.0"\nimages = 3\n',
            "federation.lock:3:1: images: wanted a table, found the number 3",
        ),
        (IMAGES_TEXT.replace("\n[images]", 'python = "3.11"\n[images]'), "requirements: wanted"),
    ],
)
def test_damaged_images_are_named_with_their_line(text: str, why: str) -> None:
    assert why in failure(text)


@given(
    st.builds(
        Lock,
        flower=st.from_regex(r"\A[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}\Z"),
        python=st.from_regex(r"\A3\.[0-9]{1,2}\Z"),
        requirements=st.from_regex(r"\Asha256:[0-9a-f]{64}\Z"),
        environment=st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._+-]{0,127}\Z"),
        images=st.dictionaries(
            st.from_regex(r"\A[a-z0-9]{1,9}(/[a-z0-9]{1,9}){0,2}(:[A-Za-z0-9_.-]{1,9})?\Z").filter(IMAGE.fullmatch),
            st.from_regex(r"\Asha256:[0-9a-f]{64}\Z"),
            max_size=3,
        ),
        apt_packages=st.dictionaries(
            st.sampled_from(["linux/amd64", "linux/arm64"]),
            st.dictionaries(
                st.from_regex(r"\A[a-z0-9][a-z0-9+.-]{0,5}[a-z0-9+.]\Z"),
                st.from_regex(r"\A([0-9]:)?[0-9][A-Za-z0-9.+~-]{0,9}\Z"),
                max_size=3,
            ),
        ),
    )
)
def test_every_lock_is_read_back(lock: Lock) -> None:
    assert read_lock(lock.render(), "federation.lock") == lock


@given(st.one_of(st.text(), st.text().map(lambda text: TEXT + text), st.text().map(lambda text: f'version = "{text}"')))
def test_no_text_is_too_odd_to_be_answered(text: str) -> None:
    hint: str | None = "none needed"
    try:
        read_lock(text, "federation.lock")
    except SpecError as error:
        hint = error.hint
    assert hint


REMEDY = "Delete the file, or take it back from version control; `flowerbed up` writes a new one."


def test_of_a_newer_flowerbed() -> None:
    assert failure(TEXT.replace("version = 1", "version = 2")) == (
        "federation.lock:2:1: version: 2 is of a newer Flowerbed; this one reads 1\n"
        "Upgrade Flowerbed, or delete the file to lock anew with this one."
    )


def test_damaged() -> None:
    assert failure(TEXT[:130]) == f"federation.lock:3:16: is damaged: Unterminated string\n{REMEDY}"
    assert failure("<<<<<<< HEAD\n") == f"federation.lock:1:1: is damaged: Invalid statement\n{REMEDY}"
    assert failure("") == f"federation.lock:1:1: version: wanted 1, found nothing\n{REMEDY}"


def test_every_fault_is_told() -> None:
    text = TEXT.replace('"1.42.0"\n', "1.42\n").replace("python", "pithon")
    assert failure(text) == (
        'federation.lock:1:1: python: wanted a minor release such as "3.11", found nothing\n'
        'federation.lock:3:1: flower: wanted an exact release such as "1.42.0", found the number 1.42\n'
        f"federation.lock:4:1: pithon: no such key\n{REMEDY}"
    )


def test_a_lock_that_could_not_be_read_back_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="flower: wanted an exact release"):
        Lock(flower="1.42", python="3.11", requirements=DIGEST, environment="x")
