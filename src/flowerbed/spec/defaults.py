"""The federation of an app that has no file of its own."""

from __future__ import annotations

from flowerbed.spec.model import API_VERSION, KIND, Federation, FederationSpec, Metadata, SuperNodePool
from flowerbed.spec.values import slug

# So that the name also fits with that of the pool "supernode" into a component's DNS name.
_LENGTH = 38


def default_federation(app_name: str) -> Federation:
    """Return two SuperNodes in one pool, named after the app as far as a DNS label can."""
    return Federation(
        api_version=API_VERSION,
        kind=KIND,
        metadata=Metadata(name=slug(app_name, _LENGTH) or "federation"),
        spec=FederationSpec(supernodes=(SuperNodePool(name="supernode", replicas=2),)),
    )
