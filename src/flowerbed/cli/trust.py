"""`flowerbed trust show`, `flowerbed trust rotate`, `flowerbed trust export` and `flowerbed trust make`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flowerbed.cli.options import LOCAL, FlowerVersion, Json, On, Where, kubernetes_context
from flowerbed.cli.output import Output
from flowerbed.cli.place import federation_at
from flowerbed.counting import counted
from flowerbed.errors import UsageError
from flowerbed.kubernetes.manifests import names
from flowerbed.local import trusting
from flowerbed.local.runtime import LocalRuntime, only_one_verb
from flowerbed.local.source import find
from flowerbed.trust.seen import Certificate

_RESTARTED = "What runs was started again, as far as it had to be."
_NEXT_UP = "The next `flowerbed up` starts with it."
_BOTH = (
    "A run goes on, so the authority before is trusted, too."
    " Once it has ended, `flowerbed up` or `flowerbed trust rotate` takes that out."
)


def show(*, file: Where = Path(), on: On = LOCAL, json: Json = False) -> None:
    """Show a federation's certificates: for which names they are, and until when they are good."""
    out = Output(as_json=json)
    asked, context = kubernetes_context(on)
    if asked:
        from flowerbed.cli.trust_on_kubernetes import kept

        with kept(file, context) as (keeper, _):
            _show(out, keeper.show())
        return
    _show(out, trusting.show(federation_at(file).folder))


def rotate(
    *,
    file: Where = Path(),
    authority: Annotated[bool, Parameter(negative="")] = False,
    secret: Annotated[bool, Parameter(negative="")] = False,
    on: On = LOCAL,
    json: Json = False,
) -> None:
    """Give the SuperLink a fresh certificate, good for 90 days from now; or the federation a fresh authority.

    What runs is started again as far as it has to be. A run that goes on is spared: the SuperLink alone is started
    again, and the run goes on from its database. `up` renews certificates, and the authority, by itself when a third of
    their time is left.

    Parameters
    ----------
    authority
        Have another certificate authority take over. While a run goes on the one before is trusted, too; once it has
        ended, the next `up` or `trust rotate` takes that out.
    secret
        Give SuperExecs another secret (Flower 1.29 and newer); not while a run goes on.
    """
    out = Output(as_json=json)
    asked, context = kubernetes_context(on)
    if asked:
        from flowerbed.cli import trust_on_kubernetes

        with out.working("renewing what the federation trusts"):
            done, found = trust_on_kubernetes.rotate(out, file, context, authority=authority, secret=secret)
    else:
        source = find(file)
        runtime = LocalRuntime(source.folder)
        trusting.authority(source.folder)  # nothing is locked, and nothing made, where there is nothing to renew
        with (
            only_one_verb(source.folder, waiting=out.step),
            out.working("renewing what the federation trusts"),
        ):
            done = trusting.rotate(
                source.federation, runtime, new_authority=authority, new_secret=secret, watch=out.event
            )
        found = trusting.show(source.folder)
    _show(out, found)
    out.say(_RESTARTED if done.restarted else _NEXT_UP)
    if not done.complete:
        out.say(_BOTH)


def export(
    *,
    file: Where = Path(),
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    client: Path | None = None,
    on: On = LOCAL,
    json: Json = False,
) -> None:
    """Print the certificate of the federation's authority, by which others know its SuperLink. It is no secret.

    While another authority takes over, both are printed.

    Parameters
    ----------
    output
        The file to write it into instead.
    client
        A folder, made if there is none, for somebody who shall call the Control API in a cluster: a fresh certificate
        with the folder's name, its key, which is a secret, and nginx.conf of a forwarder beside a stock client.
    """
    out = Output(as_json=json)
    asked, context = kubernetes_context(on)
    if client is not None:
        if not asked:
            raise UsageError(
                "a certificate for a client is for a federation in a cluster",
                hint="Add --on kubernetes. On this machine nobody asks for one: everything is on loopback.",
            )
        from flowerbed.cli.trust_on_kubernetes import export_client

        export_client(file, context, client, out)
        return
    if asked:
        from flowerbed.cli.trust_on_kubernetes import kept

        with kept(file, context) as (keeper, _):
            text = keeper.authority()
    else:
        text = trusting.authority(federation_at(file).folder)
    out.data("authority", {"certificate": text})
    if output is not None:
        output.write_text(text, encoding="ascii")
    else:
        out.say(text.rstrip())


def make(
    *,
    file: Where = Path(),
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    flower: FlowerVersion = None,
    json: Json = False,
) -> None:
    """Write what a federation on Kubernetes trusts as files, for who brings Secrets there by other means than `up`.

    No cluster is touched. Run again, it keeps what is there, and makes what is missing or due: keys of new SuperNodes,
    and the SuperLink's certificate when a third of its 90 days is left.

    Parameters
    ----------
    output
        The folder. Its files are readable by you alone; keep them out of Git, but for public.yaml.
    """
    import secrets
    from datetime import UTC, datetime

    from flowerbed.kubernetes import trusting as on_kubernetes
    from flowerbed.kubernetes.manifests.identity import Identity
    from flowerbed.kubernetes.opening import open_file
    from flowerbed.kubernetes.trust_files import PUBLIC, TrustFiles
    from flowerbed.topology.build import protection

    out = Output(as_json=json)
    found = open_file(file)
    if not protection(found.federation).tls:
        raise UsageError("there is nothing to make: the file has no TLS", where="spec.security.tls.mode")
    row = found.row(flower)
    identity = Identity.of(found.federation, row, None)
    there = TrustFiles(output)
    now = datetime.now(UTC)
    trusts = on_kubernetes.wanted(
        found.federation, identity, there.find, now=now, random=secrets.token_bytes, take_back=True
    )
    changed = there.write(on_kubernetes.objects(trusts, row, identity))
    for path in changed:
        out.data("file", {"path": str(path)})
    out.say(f"{output}: {counted(len(changed), 'file')} changed" if changed else f"{output}: nothing changed")
    secret = names.authority(found.name)
    out.say(f"{PUBLIC} is no secret, and can be applied as it is. {secret} is for you alone: no Pod needs it.")


def _show(out: Output, found: list[Certificate]) -> None:
    for one in found:
        out.data("certificate", one)
    out.table(
        ["CERTIFICATE", "GOOD UNTIL", "FOR", "SHA-256"],
        [[one.name, one.not_after[:10], " ".join(one.names) or "-", one.fingerprint[:16]] for one in found],
    )
