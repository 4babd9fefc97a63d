"""API keys of service accounts over HTTP."""

from typing import Annotated

from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath, QueryParameter

from ledger.api.account_wire import Message
from ledger.api.bodies import as_utc
from ledger.api.call import Call
from ledger.api.json_answer import json_response
from ledger.api.path_ids import id_in
from ledger.api.problems import FieldError, InvalidRequest
from ledger.api.session_wire import KeyIssued, KeyShown, NewKey
from ledger.api.types import HttpRequest
from ledger.domain.account.decide import KeyNotFound
from ledger.domain.ids import KeyId
from ledger.identity import api_keys
from ledger.identity.api_keys import ListedKey
from ledger.identity.key_rows import prefix_of
from ledger.identity.people import ERASED


class KeyController(Controller):
    """Keys with which machines use service accounts."""

    path = "/api/keys"
    tags = ("API keys",)

    @post(
        "/",
        status_code=200,
        opt={"body": NewKey, "answer": KeyIssued, "keyed": True, "also": {404: "No such account"}},
    )
    async def issue_key(self, request: HttpRequest) -> Response[bytes]:
        """Issue a key for a service account; its secret is in this answer only."""
        call = Call(request)
        wanted = await call.json(NewKey)
        expires_at = None if wanted.expires_at is None else as_utc(wanted.expires_at, "expires_at")
        if expires_at is not None and expires_at <= call.services.clock():
            raise InvalidRequest(FieldError("expires_at", "is over already"))
        handled, issued = await api_keys.issue(
            call.services.identity,
            wanted.username,
            await call.actor(),
            name=wanted.name,
            scopes=wanted.scopes,
            expires_at=expires_at,
        )
        body = KeyIssued(
            key_id=issued.key.key,
            key=issued.secret,
            prefix=prefix_of(issued.key.key),
            username=wanted.username,
            name=wanted.name,
            scopes=issued.key.scopes,
            expires_at=issued.key.expires_at,
        )
        return await call.answer(body, handled=handled)

    @get("/", opt={"answer": list[KeyShown]})
    async def keys(self, request: HttpRequest) -> Response[bytes]:
        """List the keys that were not revoked."""
        call = Call(request)
        listed = await api_keys.keys_of(call.services.identity)
        names = await call.names([one.person for one in listed])
        return json_response([_shown(one, names.get(one.person, ERASED)) for one in listed])

    @delete("/{key_id:str}", status_code=200, opt={"answer": Message, "keyed": True})
    async def revoke_key(
        self,
        request: HttpRequest,
        key_id: FromPath[str],
        reason: Annotated[str, QueryParameter(max_length=2_000)] = "",
    ) -> Response[bytes]:
        """Take a key away; it stops working at once."""
        call = Call(request)
        handled = await api_keys.revoke(
            call.services.identity, KeyId(id_in(key_id, KeyNotFound())), await call.actor(), reason=reason
        )
        return await call.answer(Message(message="API key revoked"), handled=handled)


def _shown(one: ListedKey, username: str) -> KeyShown:
    return KeyShown(
        key_id=one.key.key,
        prefix=prefix_of(one.key.key),
        username=username,
        name=one.described.name,
        scopes=one.key.scopes,
        created_at=one.described.created_at,
        expires_at=one.key.expires_at,
        last_used_at=one.described.last_used_at,
    )
