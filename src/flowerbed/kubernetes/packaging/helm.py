"""A Helm chart of the objects: with its default values it renders what `flowerbed render` streams.

Only what differs between places is a value: images, what Pods get, storage, and the namespace. How many SuperNodes
there are is the federation file's to say, because each of them is told the number of all.
"""

from __future__ import annotations

from typing import Any

from flowerbed.kubernetes.manifests.identity import Object
from flowerbed.kubernetes.manifests.parts import Part, Parts
from flowerbed.kubernetes.packaging import helm_schema, helm_texts
from flowerbed.kubernetes.packaging.files import Files, by_file
from flowerbed.kubernetes.packaging.folder import MARKER
from flowerbed.kubernetes.yaml_text import Verbatim, dump_all
from flowerbed.spec.images import ImagePolicy
from flowerbed.spec.model import Federation

CHART_VERSION = "0.1.0"

PULL_SECRETS = Verbatim("{{ with .Values.imagePullSecrets }}imagePullSecrets: {{ toJson . }}{{ end }}")


def files(federation: Federation, objects: list[Object], release: str) -> Files:
    """Return the chart's files."""
    chart = _Chart(federation, objects)
    templates = {file: dump_all(map(chart.template, items)) for file, items in by_file(federation, objects).items()}
    if "namespace.yaml" in templates:
        templates["namespace.yaml"] = (
            f"{{{{- if .Values.createNamespace }}}}\n{templates['namespace.yaml']}{{{{- end }}}}\n"
        )
    name = federation.metadata.name
    return {
        "Chart.yaml": helm_texts.chart(name, CHART_VERSION, release),
        "values.yaml": helm_texts.values(chart.values),
        "values.schema.json": helm_schema.schema(
            chart.values, pinned=federation.spec.security.images is ImagePolicy.PINNED
        ),
        ".helmignore": f"{MARKER}*\n",
        **{f"templates/{file}": text for file, text in templates.items()},
        "templates/NOTES.txt": helm_texts.notes(federation),
    }


class _Chart:
    """Takes values out of objects and puts templates in their place.

    Parameters
    ----------
    federation : Federation
        What is rendered.
    objects : list of dict
        All its objects.
    """

    def __init__(self, federation: Federation, objects: list[Object]) -> None:
        self._federation = federation
        self._parts = Parts(federation)
        self.values: dict[str, Any] = {}
        namespace = next((item["metadata"].get("namespace") for item in objects if item["kind"] != "Namespace"), None)
        if namespace is not None:
            self.values["namespace"] = namespace
        if any(item["kind"] == "Namespace" for item in objects):
            self.values["createNamespace"] = True
        self.values |= {"images": {}, "imagePullSecrets": [], "resources": {}}
        self._secrets = [{"name": secret.name} for secret in federation.spec.app.image_pull_secrets]
        self.values["imagePullSecrets"] = self._secrets

    def template(self, item: Object) -> Object:
        """Return an object with templates in it, and note the values that they need."""
        part = self._parts.of(item)
        made: Object = _escaped(item)
        metadata = made["metadata"]
        metadata.setdefault("labels", {})["helm.sh/chart"] = Verbatim("{{ .Chart.Name }}-{{ .Chart.Version }}")
        if item["kind"] == "Namespace":
            metadata["name"] = Verbatim("{{ .Values.namespace | quote }}")
        elif "namespace" in metadata:
            metadata["namespace"] = Verbatim("{{ .Values.namespace | quote }}")
        spec = made.get("spec", {})
        if item["kind"] in ("Deployment", "StatefulSet"):
            self._pod(spec["template"]["spec"], item["spec"]["template"]["spec"], part)
        for claim in spec.get("volumeClaimTemplates", []):
            claim["spec"] = self._claim(claim["spec"], "storage")
        if item["kind"] == "PersistentVolumeClaim":
            made["spec"] = self._claim(spec, "results")
        return made

    def _pod(self, made: Object, plain: Object, part: Part) -> None:
        made.pop("imagePullSecrets", None)
        ordered = {PULL_SECRETS: None, **made}
        made.clear()
        made.update(ordered)
        container, said = made["containers"][0], plain["containers"][0]
        key = self._image_key(said["image"], part)
        self.values["images"][key] = said["image"]
        container["image"] = Verbatim(f"{{{{ .Values.images.{key} | quote }}}}")
        resources = self.values["resources"]
        if part.kind == "supernodes":
            resources.setdefault("supernodes", {})[part.pool] = said["resources"]
            path = f'(index .Values.resources.supernodes "{part.pool}")'
        else:
            resources[part.kind] = said["resources"]
            path = f".Values.resources.{part.kind}"
        container["resources"] = Verbatim(f"{{{{ {path} | toJson }}}}")
        for more, known in zip(made["containers"][1:], plain["containers"][1:], strict=True):
            self.values["images"][known["name"]] = known["image"]
            more["image"] = Verbatim(f"{{{{ .Values.images.{known['name']} | quote }}}}")

    def _image_key(self, image: str, part: Part) -> str:
        if part.kind == "superlink":
            return "superlink"
        return "app" if image == self._federation.spec.app.image else "supernode"

    def _claim(self, spec: Object, key: str) -> Object:
        size = spec["resources"]["requests"]["storage"]
        self.values[key] = {"size": size, "storageClassName": spec.pop("storageClassName", "")}
        line = f"{{{{ with .Values.{key}.storageClassName }}}}storageClassName: {{{{ . | quote }}}}{{{{ end }}}}"
        storage = {"requests": {"storage": Verbatim(f"{{{{ .Values.{key}.size | quote }}}}")}}
        return {**spec, "resources": storage, Verbatim(line): None}


def _escaped(data: Any) -> Any:
    """Return a copy in which no text is an action of Helm's templates."""
    match data:
        case str():
            return data.replace("{{", "{{ `{{` }}")
        case dict():
            return {_escaped(key): _escaped(value) for key, value in data.items()}
        case list():
            return [_escaped(value) for value in data]
        case _:
            return data
