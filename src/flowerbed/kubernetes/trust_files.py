"""A federation's trust as files, for who brings Secrets to a cluster by other means than `up`.

In the folder, all with the mode 0600: for each Secret its manifest, NAME.yaml, and a folder NAME with a file for each
key; and public.yaml with the ConfigMaps, which hold no secret. What is there is kept, what is missing or due is made.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path

from flowerbed.kubernetes.living import name
from flowerbed.kubernetes.manifests.identity import Object
from flowerbed.kubernetes.yaml_text import dump, dump_all
from flowerbed.trust import files

PUBLIC = "public.yaml"


class TrustFiles:
    """The folder.

    Parameters
    ----------
    folder : Path
        Where; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, secret: str) -> Object | None:
        """Return a Secret whose keys are there.

        Raises
        ------
        TrustError
            If others may read one of them.
        """
        folder = self.folder / secret
        if not folder.is_dir():
            return None
        found = {path.name: files.read(path) for path in sorted(folder.iterdir()) if not path.name.startswith(".")}
        data = {key: base64.b64encode(value).decode("ascii") for key, value in found.items() if value is not None}
        return {"kind": "Secret", "metadata": {"name": secret}, "data": data}

    def write(self, objects: Iterable[Object]) -> list[Path]:
        """Write Secrets and ConfigMaps; return the files whose content is another now.

        Raises
        ------
        TrustError
            If something cannot be written, or others may read what is there.
        """
        made = list(objects)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        files.make_folder(self.folder)
        touched = []
        for item in made:
            if item["kind"] == "Secret":
                touched += self._secret(item)
        public = [item for item in made if item["kind"] != "Secret"]
        return [*touched, *self._replace(self.folder / PUBLIC, dump_all(public).encode())]

    def _secret(self, item: Object) -> list[Path]:
        folder = self.folder / name(item)
        files.make_folder(folder)
        values: Mapping[str, str] = item["data"]
        touched = []
        for key, value in values.items():
            touched += self._replace(folder / key, base64.b64decode(value))
        for gone in (path for path in folder.iterdir() if path.name not in values):
            gone.unlink()
            touched.append(gone)
        return [*touched, *self._replace(self.folder / f"{name(item)}.yaml", dump(item).encode())]

    def _replace(self, path: Path, content: bytes) -> list[Path]:
        if files.read(path) == content:
            return []
        files.write(path, content)
        return [path]
