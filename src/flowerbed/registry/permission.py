"""What a registry wants to see before it answers, got with this user's login.

distribution.github.io, "Token Authentication".
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

import httpx2

from flowerbed.errors import RegistryError
from flowerbed.registry.credentials import Credentials, credentials
from flowerbed.registry.reference import Reference, is_loopback
from flowerbed.registry.refusals import bad_login, json_of, no_login

_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class Permissions:
    """Gets permissions; keeps none.

    Parameters
    ----------
    http : httpx2.Client
        By which token servers are asked.
    environment : mapping of str to str
        Where logins are found.
    """

    def __init__(self, http: httpx2.Client, environment: Mapping[str, str]) -> None:
        self._http = http
        self._environment = environment

    def asked(self, challenge: str, place: Reference, name: str, *, writing: bool = False) -> str:
        """Return the header that a challenge asks for.

        Parameters
        ----------
        challenge : str
            What the registry said in ``WWW-Authenticate``; it names what the permission has to be for.
        place, name : Reference, str
            The image, read and as the user named it.
        writing : bool
            Whether it is to be written, for the error to say so.

        Raises
        ------
        RegistryError
            If there is no login, it is not enough, or it would be sent where others can read it.
        """
        login = credentials(place.host, self._environment)
        scheme, _, rest = challenge.partition(" ")
        asked = dict(_CHALLENGE.findall(rest))
        if scheme.lower() == "basic":
            if login is None:
                raise no_login(place, name, writing=writing)
            pair = f"{login.user}:{login.password}".encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        realm = httpx2.URL(asked.get("realm", ""))
        if scheme.lower() != "bearer" or not realm.host:
            raise RegistryError(f"{place.host} asks for a login in a way that is not known: {scheme}", where=name)
        if realm.scheme != "https" and not is_loopback(realm.netloc.decode()):
            raise RegistryError(f"{place.host} asks for the login to be sent unencrypted, to {realm.host}", where=name)
        token = self._token(realm, asked, login, place)
        if token is None:
            raise no_login(place, name, writing=writing) if login is None else bad_login(place, name, writing=writing)
        return f"Bearer {token}"

    def _token(
        self, realm: httpx2.URL, asked: Mapping[str, str], login: Credentials | None, place: Reference
    ) -> str | None:
        scope = asked.get("scope") or f"repository:{place.repository}:pull"
        service = {"service": asked["service"]} if "service" in asked else {}
        if login is not None and login.identity_token:
            form = {
                **service,
                "scope": scope,
                "grant_type": "refresh_token",
                "client_id": "flowerbed",
                "refresh_token": login.identity_token,
            }
            answer = self._http.post(realm, data=form)
        else:
            auth = None if login is None else httpx2.BasicAuth(login.user, login.password)
            wanted = {**service, "scope": scope.split()}  # two of them where a blob is mounted from elsewhere
            answer = self._http.get(realm.copy_merge_params(wanted), auth=auth)
        said = json_of(answer)
        token = said.get("token") or said.get("access_token")
        return str(token) if answer.status_code == 200 and token else None
