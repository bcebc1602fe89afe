"""auth0-python as an operator's script uses it: every resource of the Management API once, and long lists to their end.

A program of its own, as SSL_CERT_FILE counts for a whole process. What it found is printed as JSON.
"""

import json
import os
import sys

from auth0.management import ManagementClient
from auth0.management.core.api_error import ApiError

api = ManagementClient(
    domain=os.environ["AUTH0_DOMAIN"],
    client_id=os.environ["AUTH0_CLIENT_ID"],
    client_secret=os.environ["AUTH0_CLIENT_SECRET"],
)
found = {}

for number in range(5):
    api.users.create(
        connection="FabrikamAD",
        email=f"py{number}@fabrikamcorp.com",
        password="a good long passphrase 7",
        user_metadata={"number": number},
    )
people = list(api.users.list(per_page=2, include_totals=True))
found["people"] = sorted(user.email for user in people)
py0 = next(user for user in people if user.email == "py0@fabrikamcorp.com").user_id
found["metadata"] = api.users.update(py0, user_metadata={"more": True}).user_metadata
found["by_email"] = [user.user_id for user in api.users.list_users_by_email(email="py0@fabrikamcorp.com")] == [py0]
found["sessions"] = [session.id for session in api.users.sessions.list(py0, take=1)]
found["tokens"] = [token.id for token in api.users.refresh_token.list(py0, take=1)]
api.users.sessions.delete(py0)
api.users.revoke_access(py0)

api.resource_servers.create(
    identifier="https://python.example/", name="Python", scopes=[{"value": "read:things", "description": "Read"}]
)
api.resource_servers.update("https://python.example/", scopes=[{"value": "read:things"}, {"value": "write:things"}])
found["scopes"] = [scope.value for scope in api.resource_servers.get("https://python.example/").scopes]
role = api.roles.create(name="Reader", description="Reads")
permission = {"resource_server_identifier": "https://python.example/", "permission_name": "read:things"}
api.roles.permissions.add(role.id, permissions=[permission])
api.users.roles.assign(py0, roles=[role.id])
found["roles"] = [one.name for one in api.users.roles.list(py0)]
found["permissions"] = [one.permission_name for one in api.users.permissions.list(py0)]
api.users.roles.delete(py0, roles=[role.id])
api.roles.permissions.delete(role.id, permissions=[permission])

client = api.clients.create(
    name="Python shop",
    app_type="regular_web",
    callbacks=["https://shop.example/cb"],
    oidc_logout={"backchannel_logout_urls": ["https://shop.example/out"]},
)
found["secret"] = bool(client.client_secret)
found["rotated"] = api.clients.rotate_secret(client.client_id).client_secret != client.client_secret
api.clients.update(client.client_id, logo_uri="https://shop.example/logo.png")
found["clients"] = sorted(one.name for one in api.clients.list(per_page=1, include_totals=True))
grant = api.client_grants.create(client_id=client.client_id, audience="https://python.example/", scope=["read:things"])
found["grants"] = [one.scope for one in api.client_grants.list(audience="https://python.example/", take=1)]
api.client_grants.update(grant.id, scope=["write:things"])
api.client_grants.delete(grant.id)

connection = api.connections.create(
    name="python-okta", strategy="okta", options={"domain": "acme.okta.com", "client_id": "x"}
)
api.connections.clients.update(connection.id, request=[{"client_id": client.client_id, "status": True}])
found["connection_clients"] = [one.client_id for one in api.connections.clients.get(connection.id)] == [
    client.client_id
]
found["connections"] = sorted(one.name for one in api.connections.list(take=1))
api.connections.delete(connection.id)

found["tenant"] = api.tenants.settings.update(friendly_name="Fabrikam").friendly_name
found["branding"] = api.branding.update(colors={"primary": "#112233"}).colors.primary
found["keys"] = len(api.keys.signing.list()) > 0
found["logs"] = any(line.type == "sapi" for line in api.logs.list(per_page=100))
found["active"] = float(api.stats.get_active_users_count())
found["days"] = len(api.stats.get_daily())
found["ticket"] = api.tickets.change_password(user_id=py0).ticket.startswith(f"https://{os.environ['AUTH0_DOMAIN']}/")
found["organizations"] = list(api.organizations.list())
try:
    api.clients.get("nobody")
except ApiError as error:
    found["error"] = [error.status_code, error.body["errorCode"]]
api.clients.delete(client.client_id)
api.roles.delete(role.id)
api.resource_servers.delete("https://python.example/")
for user in people:
    if user.email.startswith("py"):
        api.users.delete(user.user_id)
json.dump(found, sys.stdout)
