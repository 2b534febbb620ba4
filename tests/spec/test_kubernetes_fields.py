"""The fields that have Kubernetes' own names and shapes, and what is said when one of them is wrong.

As in test_load, a caret marks the place that a problem points to.
"""

# ruff: noqa: E501 (tables have one case on a line)

from __future__ import annotations

import contextlib
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowerbed.errors import SpecError
from flowerbed.spec.kubernetes import PullPolicy
from flowerbed.spec.load import parse
from flowerbed.spec.model import Federation
from flowerbed.spec.quantity import amount

HEAD = "apiVersion: flowerbed.dev/v1alpha1\nkind: Federation\nmetadata: {name: demo}\nspec:\n  "
POOL = "supernodes: [{name: a}]\n  "


def read(spec: str) -> Federation:
    return parse(HEAD + spec + "\n", "f").federation


def test_all_that_is_not_said_has_a_default() -> None:
    spec = read(POOL).spec
    assert (spec.tls_mode, spec.node_auth) == ("Auto", True)
    assert (spec.superlink.image, spec.superlink.storage.size, spec.superlink.storage.storage_class_name) == (
        None,
        "1Gi",
        None,
    )
    assert (spec.serverapp.results.size, spec.serverapp.results.claim_name) == ("1Gi", None)
    assert (spec.app.image_pull_policy, spec.app.image_pull_secrets) == (None, ())
    for section in (spec.serverapp, spec.supernodes[0]):
        assert (section.env_from, section.volumes, section.resources.requests, section.resources.limits) == (
            (),
            (),
            {},
            {},
        )


def test_what_is_said_is_kept() -> None:
    spec = read(
        """supernodes:
    - name: a
      envFrom: [{secretRef: {name: keys}}, {configMapRef: {name: settings}}]
      volumes:
        - {name: data, mountPath: /srv/data, readOnly: true, persistentVolumeClaim: {claimName: chest}}
        - {name: host, mountPath: /srv/host, hostPath: {path: /mnt/x, type: Directory}}
        - {name: shm, mountPath: /dev/shm, emptyDir: {medium: Memory, sizeLimit: 64Mi}}
        - {name: config, mountPath: /etc/x, configMap: {name: x}}
        - {name: secret, mountPath: /etc/y, secret: {secretName: y}}
        - {name: scratch, mountPath: /tmp/scratch, emptyDir: {}}
      resources: {requests: {cpu: 1, memory: 1.5Gi}, limits: {nvidia.com/gpu: 2}}
  app: {image: "registry.example.org:5000/team/app:1.0@sha256:%s", imagePullPolicy: IfNotPresent, imagePullSecrets: [{name: registry}]}
  superlink: {image: flwr/superlink, resources: {limits: {memory: 4Gi}}, storage: {size: 10Gi, storageClassName: fast}}
  serverapp: {results: {claimName: kept}}
  security: {tls: {mode: Disabled}, nodeAuth: false}"""
        % ("0" * 64)
    ).spec
    pool = spec.supernodes[0]
    assert [source.model_dump(by_alias=True, exclude_none=True) for source in pool.env_from] == [
        {"secretRef": {"name": "keys"}},
        {"configMapRef": {"name": "settings"}},
    ]
    assert pool.volumes[0].persistent_volume_claim is not None
    assert (pool.volumes[0].persistent_volume_claim.claim_name, pool.volumes[0].read_only) == ("chest", True)
    assert (pool.resources.requests, pool.resources.limits) == (
        {"cpu": "1", "memory": "1.5Gi"},
        {"nvidia.com/gpu": "2"},
    )
    assert spec.app.image_pull_policy is PullPolicy.IF_NOT_PRESENT
    assert spec.serverapp.results.claim_name == "kept"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (POOL + "security: {tls: {mode: ^Enabled}}", 'spec.security.tls.mode: wanted Auto, Secret, CertManager or Disabled, found "Enabled" (write Disabled)'),
        (POOL + "layout: Quickstart\n  security: {nodeAuth: ^true}", "spec.security.nodeAuth: a SuperNode proves who it is over TLS only (write tls: {mode: Auto} too)"),
        (POOL + "security: {nodeAuth: ^true, tls: {mode: Disabled}}", "spec.security.nodeAuth: a SuperNode proves who it is over TLS only (write tls: {mode: Auto} too)"),
        (POOL + "security: {tls: {mode: Disabled, externalNames: ^[a.example.org]}}", "spec.security.tls.externalNames: there is no certificate for them without TLS (write tls: {mode: Auto} too)"),
        (POOL + "security: {tls: {mode: Auto, externalNames: [^a_b]}}", 'spec.security.tls.externalNames[0]: "a_b" is neither a host name nor an IP address (for example "fl.example.org")'),
        (POOL + "security: {tls: {mode: Auto, externalNames: [^10.0.0.256]}}", 'spec.security.tls.externalNames[0]: "10.0.0.256" is neither a host name nor an IP address (for example "fl.example.org")'),
        (POOL + "security: {controlApi: ^Closed, tls: {mode: Disabled}}", "spec.security.controlApi: holders of a certificate are told from others over TLS only (write tls: {mode: Auto} too)"),
        (POOL + "layout: Quickstart\n  security: {controlApi: ^Closed}", "spec.security.controlApi: is for layout: Colocated (leave it out, or choose that layout)"),
        (POOL + "security: {controlApi: ^Shut}", 'spec.security.controlApi: wanted Closed or Open, found "Shut"'),
        (POOL + "images: {proxy: ^Nginx}", 'spec.images.proxy: "Nginx" is not an image\'s name (for example "ghcr.io/example/app:1.0" or "ghcr.io/example/app@sha256:…")'),
        (POOL + "security: {nodeAuth: ^1}", "spec.security.nodeAuth: wanted true or false, found the number 1"),
        (POOL + "app: {image: ^Example/App}", 'spec.app.image: "Example/App" is not an image\'s name (for example "ghcr.io/example/app:1.0" or "ghcr.io/example/app@sha256:…")'),
        (POOL + 'app: {image: ^""}', "spec.app.image: is empty"),
        (POOL + "app: {build: {aptPackages: [g++, ^'libc6:amd64']}}", 'spec.app.build.aptPackages[1]: "libc6:amd64" is not a Debian package\'s name (for example "libgomp1", or "libgomp1=12.2.0-14")'),
        (POOL + "app: {imagePullPolicy: ^Allways}", 'spec.app.imagePullPolicy: wanted Always, IfNotPresent or Never, found "Allways" (write Always)'),
        (POOL + "app: {imagePullSecrets: [^registry]}", 'spec.app.imagePullSecrets[0]: wanted a mapping, found "registry"'),
        (POOL + "app: {imagePullSecrets: ^registry}", 'spec.app.imagePullSecrets: wanted a list, found "registry"'),
        (POOL + "superlink: {storage: {size: ^10GB}}", 'spec.superlink.storage.size: "10GB" is not a quantity (for example "250m", "1.5", "512Mi" or "10Gi")'),
        (POOL + "superlink: {storage: {size: ^-1}}", 'spec.superlink.storage.size: "-1" is not a quantity (for example "250m", "1.5", "512Mi" or "10Gi")'),
        (POOL + "superlink: {storage: {storageClassName: ^Fast}}", 'spec.superlink.storage.storageClassName: "Fast" is not an object\'s name: small letters, digits, hyphens and dots, a letter or digit first and last'),
        (POOL + "superlink: {resources: {^request: {}}}", 'spec.superlink.resources.request: no such key (did you mean "requests"?)'),
        (POOL + "superlink: {resources: {requests: {^c/p/u: 1}}}", 'spec.superlink.resources.requests.c/p/u: "c/p/u" is not a resource (for example "cpu", "memory" or "nvidia.com/gpu")'),
        (POOL + "superlink: {resources: {requests: {memory: ^2Gi}, limits: {memory: 1Gi}}}", "spec.superlink.resources.requests.memory: 2Gi is more than the limit, 1Gi"),
        (POOL + "serverapp: {resources: {requests: {cpu: ^1}, limits: {cpu: 999m}}}", "spec.serverapp.resources.requests.cpu: 1 is more than the limit, 999m"),
        (POOL + "serverapp: {results: ^{claimName: a, size: 1Gi}}", "spec.serverapp.results: claimName names a claim that is there; size and storageClassName are for one that is made"),
        (POOL + "serverapp: {envFrom: [^{}]}", "spec.serverapp.envFrom[0]: names nothing (exactly one of secretRef, configMapRef)"),
        (POOL + "serverapp: {envFrom: [^{secretRef: {name: a}, configMapRef: {name: b}}]}", "spec.serverapp.envFrom[0]: names secretRef and configMapRef (exactly one of secretRef, configMapRef)"),
        (POOL + "serverapp: {volumes: [^{name: a, mountPath: /a}]}", "spec.serverapp.volumes[0]: names nothing (exactly one of persistentVolumeClaim, configMap, secret, hostPath, emptyDir)"),
        (POOL + "serverapp: {volumes: [{name: a, mountPath: ^data, emptyDir: {}}]}", 'spec.serverapp.volumes[0].mountPath: "data" is not an absolute path (for example "/data")'),
        (POOL + "serverapp: {volumes: [{name: a, mountPath: ^/tmp/, emptyDir: {}}]}", "spec.serverapp.volumes[0].mountPath: /tmp is every Pod's own scratch folder (mount somewhere else, for example at \"/data\")"),
        (POOL + "serverapp: {volumes: [{name: a, mountPath: ^/flowerbed/x, emptyDir: {}}]}", "spec.serverapp.volumes[0].mountPath: /flowerbed/x is where Flowerbed's programs are (mount somewhere else, for example at \"/data\")"),
        (POOL + "serverapp: {volumes: [{name: a, mountPath: ^/a/../b, emptyDir: {}}]}", 'spec.serverapp.volumes[0].mountPath: "/a/../b" cannot be mounted at: no colons, and no ".."'),
        (POOL + "serverapp: {volumes: [{name: ^flowerbed-x, mountPath: /a, emptyDir: {}}]}", 'spec.serverapp.volumes[0].name: names that start with "flowerbed-" are Flowerbed\'s own (choose another name)'),
        (POOL + "serverapp: {volumes: [^{name: a, mountPath: /a, emptyDir: }]}", "spec.serverapp.volumes[0]: names nothing (exactly one of persistentVolumeClaim, configMap, secret, hostPath, emptyDir)"),
        ("supernodes: [{name: a, volumes: [{name: a, mountPath: /a, emptyDir: {}}, {name: ^a, mountPath: /b, emptyDir: {}}]}]", 'spec.supernodes[0].volumes[1].name: "a" is already the name of spec.supernodes[0].volumes[0]'),
        ("supernodes: [{name: a, volumes: [{name: a, mountPath: /a, emptyDir: {}}, {name: b, mountPath: ^/a/, emptyDir: {}}]}]", 'spec.supernodes[0].volumes[1].mountPath: "/a/" is already the place of spec.supernodes[0].volumes[0]'),
        ("supernodes: [{name: a, volumes: [{name: a, mountPath: /a, hostPath: {path: ^data}}]}]", 'spec.supernodes[0].volumes[0].hostPath.path: "data" is not an absolute path of a node (for example "/srv/data")'),
        ("supernodes: [{name: a, volumes: [{name: a, mountPath: /a, hostPath: {path: /x, type: ^Folder}}]}]", 'spec.supernodes[0].volumes[0].hostPath.type: wanted DirectoryOrCreate, Directory, FileOrCreate, File, Socket, CharDevice or BlockDevice, found "Folder" (write File)'),
        ("supernodes: [{name: a, volumes: [{name: a, mountPath: /a, persistentVolumeClaim: {^claim: x}}]}]", 'spec.supernodes[0].volumes[0].persistentVolumeClaim.claim: no such key (did you mean "claimName"?)'),
        ("supernodes: [{name: a, nodeSelector: {^a b: c}}]", 'spec.supernodes[0].nodeSelector.a b: "a b" is not a label\'s key (as Kubernetes has them, for example example.org/team)'),
        ("supernodes: [{name: a, nodeSelector: {zone: ^1}}]", 'spec.supernodes[0].nodeSelector.zone: wanted text, found the number 1 (put it in quotes: zone: "1")'),
        ("supernodes: [{name: a, tolerations: [^{}]}]", "spec.supernodes[0].tolerations[0]: tolerates no taint that has a name (give it a key, or operator: Exists to tolerate all)"),
        ("supernodes: [{name: a, tolerations: [^{key: gpu, operator: Exists, value: x}]}]", "spec.supernodes[0].tolerations[0]: has a value that operator: Exists does not look at (leave out the value, or the operator)"),
        ("supernodes: [{name: a, tolerations: [^{key: gpu, value: x, tolerationSeconds: 5}]}]", "spec.supernodes[0].tolerations[0]: has tolerationSeconds, which only effect: NoExecute knows"),
        ("supernodes: [{name: a, tolerations: [{key: gpu, effect: ^NoSchedul}]}]", 'spec.supernodes[0].tolerations[0].effect: wanted NoSchedule, PreferNoSchedule or NoExecute, found "NoSchedul" (write NoSchedule)'),
        ("supernodes: [{name: a, affinity: {^nodeAfinity: {}}}]", 'spec.supernodes[0].affinity.nodeAfinity: no such key (did you mean "nodeAffinity"?)'),
        ("supernodes: [{name: a, affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [^{labelSelector: {}}]}}}]", "spec.supernodes[0].affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: is missing"),
        ("supernodes: [{name: a, affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [^{key: cores, operator: Gt, values: [many]}]}]}}}}]", "spec.supernodes[0].affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0]: operator: Gt compares with one whole number (for example values: [\"8\"])"),
        ("supernodes: [{name: a, affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: ^0, preference: {matchExpressions: [{key: a, operator: Exists}]}}]}}}]", "spec.supernodes[0].affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: 0 is not a weight from 1 to 100"),
        ("supernodes: [{name: a, topologySpreadConstraints: [^{topologyKey: zone, minDomains: 2}]}]", "spec.supernodes[0].topologySpreadConstraints[0]: has minDomains, which only whenUnsatisfiable: DoNotSchedule knows"),
        ("layout: Quickstart\n  supernodes: [{name: a, topologySpreadConstraints: [^{topologyKey: zone}]}]", "spec.supernodes[0].topologySpreadConstraints[0]: needs a labelSelector with layout: Quickstart, whose Pods have no label of their pool"),
        ("layout: Quickstart\n  nodeDrain: ^Wait\n  " + POOL, "spec.nodeDrain: is for layout: Colocated (leave it out, or choose that layout)"),
        (POOL + "nodeDrain: ^Abort", 'spec.nodeDrain: wanted Wait or Proceed, found "Abort"'),
        (POOL + "images: {registry: ^mirror/flower}", 'spec.images.registry: "mirror/flower": mirror would be taken for a repository (a registry\'s host has a dot or a port)'),
        (POOL + "images: {registry: ^https://registry.example.org}", 'spec.images.registry: "https://registry.example.org" is not a registry (for example "registry.example.org/mirror")'),
        (POOL + "images: {repositories: {superlink: ^flwr/superlink:1.42.0}}", 'spec.images.repositories.superlink: "flwr/superlink:1.42.0" is not a repository (for example "flwr/superlink", without registry, tag and digest)'),
        (POOL + "images: {digests: {superlink: ^latest}}", 'spec.images.digests.superlink: "latest" is not a digest (sha256: and 64 digits or letters from a to f)'),
        (POOL + "images: {repositories: {superlink: ^team/link}}\n  superlink: {image: a/b}", "spec.images.repositories.superlink: is of no use beside spec.superlink.image (keep one of the two)"),
        (POOL + "images: {^digest: {}}", 'spec.images.digest: no such key (did you mean "digests"?)'),
        (POOL + "security: {images: ^Locked}", 'spec.security.images: wanted Any or Pinned, found "Locked"'),
        (POOL + "access: [^{}]", "spec.access[0]: names nobody (give it a namespaceSelector, a podSelector or a preset)"),
        (POOL + "access: [{preset: Thunderline, apis: ^[]}]", "spec.access[0].apis: wanted at least one, found none"),
        (POOL + "access: [{preset: Thunderline, apis: [^Runtime]}]", 'spec.access[0].apis[0]: wanted Control or Fleet, found "Runtime"'),
        (POOL + "access: [{podSelector: {matchLabels: {^a b: c}}}]", 'spec.access[0].podSelector.matchLabels.a b: "a b" is not a label\'s key (as Kubernetes has them, for example example.org/team)'),
        (POOL + "access: [{namespaceSelector: {matchExpressions: [^{key: a, operator: In}]}}]", "spec.access[0].namespaceSelector.matchExpressions[0]: has no values, which operator: In needs"),
        ("supernodes: [{name: a, egress: [^{ports: [{port: 443}]}]}]", "spec.supernodes[0].egress[0]: names nothing (a cidr, or a namespaceSelector and a podSelector)"),
        ("supernodes: [{name: a, egress: [^{cidr: 0.0.0.0/0}]}]", "spec.supernodes[0].egress[0].ports: is missing"),
        ("supernodes: [{name: a, egress: [{cidr: 0.0.0.0/0, ports: ^[]}]}]", "spec.supernodes[0].egress[0].ports: wanted at least one, found none"),
        ("supernodes: [{name: a, egress: [^{cidr: 0.0.0.0/0, podSelector: {}, ports: [{port: 443}]}]}]", "spec.supernodes[0].egress[0]: names a network and Pods (make it two items: one with cidr, one with the selectors)"),
        ("supernodes: [{name: a, egress: [{cidr: ^192.0.2.1/24, ports: [{port: 443}]}]}]", 'spec.supernodes[0].egress[0].cidr: "192.0.2.1/24" is not a network (its host bits are set; for the network: "192.0.2.0/24")'),
        ("supernodes: [{name: a, egress: [{cidr: ^192.0.2.1, ports: [{port: 443}]}]}]", 'spec.supernodes[0].egress[0].cidr: "192.0.2.1" is an address, not a network (for the one address: "192.0.2.1/32")'),
        ("supernodes: [{name: a, egress: [{cidr: ^example.org, ports: [{port: 443}]}]}]", 'spec.supernodes[0].egress[0].cidr: "example.org" is not a network (for example "192.0.2.0/24", or "0.0.0.0/0" for everything)'),
        ("supernodes: [{name: a, egress: [^{cidr: 10.0.0.0/8, except: [192.0.2.0/24], ports: [{port: 443}]}]}]", "spec.supernodes[0].egress[0]: except 192.0.2.0/24 is not within 10.0.0.0/8"),
        ("supernodes: [{name: a, egress: [^{podSelector: {}, except: [192.0.2.0/24], ports: [{port: 443}]}]}]", "spec.supernodes[0].egress[0]: has except, which is for a cidr"),
        ("supernodes: [{name: a, egress: [{podSelector: {}, ports: [{port: ^0}]}]}]", "spec.supernodes[0].egress[0].ports[0].port: 0 is not a port from 1 to 65535"),
        ("supernodes: [{name: a, egress: [{podSelector: {}, ports: [^{port: 443, endPort: 80}]}]}]", "spec.supernodes[0].egress[0].ports[0]: endPort 80 is below port 443"),
        (POOL + "serverapp: {egress: [{podSelector: {}, ports: [^443]}]}", "spec.serverapp.egress[0].ports[0]: wanted a mapping, found the number 443"),
        (POOL + "security: {networkPolicies: ^true}", "spec.security.networkPolicies: wanted Enabled or Disabled, found true"),
        (POOL + "security: {dns: ^[]}", "spec.security.dns: wanted at least one, found none"),
        (POOL + "superlink: {^egress: []}", "spec.superlink.egress: no such key (it belongs into spec.supernodes[])"),
        ("layout: Quickstart\n  " + POOL + "security: {networkPolicies: ^Enabled}", "spec.security.networkPolicies: is for layout: Colocated (leave it out, or choose that layout)"),
        ("layout: Quickstart\n  supernodes: [{name: a, egress: ^[{podSelector: {}, ports: [{port: 443}]}]}]", "spec.supernodes[0].egress: is for layout: Colocated (leave it out, or choose that layout)"),
        ("supernodes: [{name: a, gpus: {count: ^0}}]", "spec.supernodes[0].gpus.count: 0 is too few: at least 1 (leave gpus out to have none)"),
        ("supernodes: [{name: a, gpus: {preset: ^Thunder}}]", 'spec.supernodes[0].gpus.preset: wanted Thunderline, found "Thunder" (write Thunderline)'),
        ("supernodes: [{name: a, gpus: {}, resources: {limits: {nvidia.com/gpu: ^1}}}]", "spec.supernodes[0].resources.limits.nvidia.com/gpu: is said by spec.supernodes[0].gpus already (keep one of the two)"),
        (POOL + "superlink: {^gpus: {}}", "spec.superlink.gpus: no such key (it belongs into spec.supernodes[])"),
        ("supernodes: [{name: a, terminationGracePeriodSeconds: ^29}]", "spec.supernodes[0].terminationGracePeriodSeconds: 29 is too short: at least 30, in which programs end"),
        ("layout: Quickstart\n  supernodes: [{name: a, terminationGracePeriodSeconds: ^60}]", "spec.supernodes[0].terminationGracePeriodSeconds: is for layout: Colocated (leave it out, or choose that layout)"),
        (POOL + "superlink: {priorityClassName: ^High}", 'spec.superlink.priorityClassName: "High" is not an object\'s name: small letters, digits, hyphens and dots, a letter or digit first and last'),
    ],
)  # fmt: skip
def test_a_fault_and_its_words(spec: str, problem: str) -> None:
    before, _, after = (HEAD + spec + "\n").partition("^")
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    with pytest.raises(SpecError) as caught:
        parse(before + after, "f")
    assert str(caught.value).splitlines() == [f"f:{line}:{column}: {problem}"]


def test_packages_of_debian_have_the_names_that_its_policy_gives_them() -> None:
    kept = ("g++", "libgomp1", "libstdc++6=12.2.0-14+deb12u1", "0ad", "python3.11", "git=1:2.39.5-0~deb12u2")
    assert read(POOL + f"app: {{build: {{aptPackages: {json.dumps(kept)}}}}}").spec.app.build.apt_packages == kept
    # A hyphen last would have apt-get remove it; the rest is an option, a command, or no name.
    for name in ("libc6-", "-y", "a", "Git", "git;true", "git =1", "git=", "git=$(x)", "git=~1", "g++\n"):
        with pytest.raises(SpecError, match="is not a Debian package's name"):
            read(POOL + f"app: {{build: {{aptPackages: {json.dumps([name])}}}}}")


def test_labels_of_ours_are_not_the_files() -> None:
    text = HEAD.replace("{name: demo}", "{name: demo, labels: {app.kubernetes.io/name: x}}") + POOL
    with pytest.raises(SpecError, match=r"app\.kubernetes\.io/name: is set by Flowerbed"):
        parse(text, "f")


@pytest.mark.parametrize(("length", "replicas", "fits"), [(40, 100, True), (40, 101, False), (39, 101, True)])
def test_quickstart_makes_longer_names(length: int, replicas: int, *, fits: bool) -> None:
    name = "n" * length
    text = HEAD.replace("demo", name) + f"layout: Quickstart\n  supernodes: [{{name: a, replicas: {replicas}}}]\n"
    if fits:
        parse(text, "f")
        parse(text.replace("Quickstart", "Colocated"), "f")
    else:
        with pytest.raises(SpecError, match=r"^f:3:18: metadata\.name: is 40 characters long; with 101 SuperNodes"):
            parse(text, "f")
        parse(text.replace("Quickstart", "Colocated"), "f")


@pytest.mark.parametrize(
    ("quantity", "found"),
    [
        ("0", "0"),
        ("1", "1"),
        ("250m", "0.25"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("512Mi", str(512 * 2**20)),
        ("1Gi", str(2**30)),
        ("1G", "1000000000"),
        ("2e3", "2000"),
        ("1E", "1000000000000000000"),
        ("100n", "1E-7"),
    ],
)
def test_what_a_quantity_amounts_to(quantity: str, found: str) -> None:
    assert amount(quantity) == Decimal(found)


@given(st.text(alphabet="0123456789.eEmkKMGi+-", max_size=6))
def test_any_text_is_a_quantity_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert amount(text) >= 0
