"""A Helm chart of the objects: with its default values it renders what `flowerbed render` streams.

Only what differs between places is a value: images, what Pods get, storage, and the namespace. How many SuperNodes
there are is the federation file's to say, because each of them is told the number of all.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from flowerbed.kubernetes.manifests.identity import Object
from flowerbed.kubernetes.manifests.needed import Needed
from flowerbed.kubernetes.manifests.parts import Part, Parts
from flowerbed.kubernetes.packaging import helm_schema, helm_texts
from flowerbed.kubernetes.packaging.files import Files, by_file
from flowerbed.kubernetes.packaging.folder import MARKER
from flowerbed.kubernetes.yaml_text import Verbatim, dump_all
from flowerbed.spec.images import ImagePolicy
from flowerbed.spec.model import Federation

CHART_VERSION = "0.1.0"
"""Followed by a digest of the chart's content: who looks at the version alone, as Flux does, then sees a change."""

VERSION = re.compile(
    r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"
)
"""Which versions a chart can have (semver.org, 2.0.0)."""

NAMESPACE = "\ue000namespace\ue000"
"""Stands in objects for the namespace that is known when the chart is installed; no namespace can be called so."""

_CHART_LABEL = Verbatim(
    '{{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | trimSuffix "_" }}'
)

PULL_SECRETS = Verbatim("{{ with .Values.imagePullSecrets }}imagePullSecrets: {{ toJson . }}{{ end }}")


def placeless(federation: Federation) -> Federation:
    """Return a federation that lives in `NAMESPACE`, for its objects to be rendered there."""
    meta = federation.metadata.model_copy(update={"namespace": NAMESPACE})
    return federation.model_copy(update={"metadata": meta})


def files(
    federation: Federation,
    objects: list[Object],
    release: str,
    *,
    needed: Sequence[Needed] = (),
    version: str | None = None,
) -> Files:
    """Return the chart's files.

    Parameters
    ----------
    federation : Federation
        What the file says.
    objects : list of dict
        All objects; where they name `NAMESPACE`, that is a value's to say, or the release's.
    release : str
        The exact Flower release.
    needed : sequence of Needed
        What Pods mount and the chart does not have.
    version : str or None
        The chart's version; None for one that is derived from its content.
    """
    if federation.metadata.namespace is None:
        objects = [item for item in objects if item["kind"] != "Namespace"]
    chart = _Chart(federation, objects)
    templates = {file: dump_all(map(chart.template, items)) for file, items in by_file(federation, objects).items()}
    if "namespace.yaml" in templates:
        templates["namespace.yaml"] = (
            "{{- if and .Values.createNamespace .Values.namespace }}\n" + templates["namespace.yaml"] + "{{- end }}\n"
        )
    name = federation.metadata.name
    made = {
        "values.yaml": helm_texts.values(chart.values),
        "values.schema.json": helm_schema.schema(
            chart.values, pinned=federation.spec.security.images is ImagePolicy.PINNED
        ),
        ".helmignore": f"{MARKER}*\n",
        **{f"templates/{file}": text for file, text in templates.items()},
        "templates/NOTES.txt": helm_texts.notes(federation, needed),
    }
    digest = hashlib.sha256(json.dumps([release, made], sort_keys=True).encode()).hexdigest()[:12]
    return {"Chart.yaml": helm_texts.chart(name, version or f"{CHART_VERSION}+{digest}", release), **made}


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
        self._namespace = "{{ .Release.Namespace }}"
        if federation.metadata.namespace is not None:
            self.values["namespace"] = federation.metadata.namespace
            self._namespace = "{{ .Values.namespace | default .Release.Namespace }}"
        if any(item["kind"] == "Namespace" for item in objects):
            self.values["createNamespace"] = True
        self.values |= {"images": {}, "imagePullSecrets": [], "resources": {}}
        self._secrets = [{"name": secret.name} for secret in federation.spec.app.image_pull_secrets]
        self.values["imagePullSecrets"] = self._secrets

    def template(self, item: Object) -> Object:
        """Return an object with templates in it, and note the values that they need."""
        part = self._parts.of(item)
        made: Object = self._placed(_escaped(item))
        metadata = made["metadata"]
        metadata.setdefault("labels", {})["helm.sh/chart"] = _CHART_LABEL
        if item["kind"] == "Namespace":
            metadata["name"] = self._quoted()
        elif "namespace" not in self.values:  # Helm brings it to the release's
            metadata.pop("namespace", None)
        elif "namespace" in metadata:
            metadata["namespace"] = self._quoted()
        spec = made.get("spec", {})
        if item["kind"] in ("Deployment", "StatefulSet"):
            self._pod(spec["template"]["spec"], item["spec"]["template"]["spec"], part)
        for claim in spec.get("volumeClaimTemplates", []):
            claim["spec"] = self._claim(claim["spec"], "storage")
        if item["kind"] == "PersistentVolumeClaim":
            made["spec"] = self._claim(spec, "results")
        return made

    def _quoted(self) -> Verbatim:
        return Verbatim(self._namespace.replace(" }}", " | quote }}"))

    def _placed(self, data: Any) -> Any:
        """Return a copy in which the namespace is what it will be."""
        match data:
            case str():
                return self._quoted() if data == NAMESPACE else data.replace(NAMESPACE, self._namespace)
            case dict():
                return {key: self._placed(value) for key, value in data.items()}
            case list():
                return [self._placed(value) for value in data]
            case _:
                return data

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
