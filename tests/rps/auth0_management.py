"""auth0-python as an operator's script uses it: every resource of the Management API once, and long lists to their end.

A program of its own, as SSL_CERT_FILE counts for a whole process. What it found is printed as JSON.
"""

import gzip
import json
import os
import subprocess
import sys
from urllib.request import urlopen

from auth0.management import ManagementClient
from auth0.management.core.api_error import ApiError
from joserfc.jwk import ECKey

api = ManagementClient(
    domain=os.environ["AUTH0_DOMAIN"],
    client_id=os.environ["AUTH0_CLIENT_ID"],
    client_secret=os.environ["AUTH0_CLIENT_SECRET"],
)
found = {}


def worker() -> None:
    """What waits for one, now: none runs beside this Curfew."""
    code = "from sessions_app.tasks import run_transfer_jobs; run_transfer_jobs()"
    argv = [sys.executable, "manage.py", "shell", "-v", "0", "-c", code]
    env = {"PATH": os.environ["PATH"], **json.loads(os.environ["CURFEW_ENVIRONMENT"])}
    subprocess.run(argv, env=env, capture_output=True, check=True)


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

# --- jobs, and what keeps people out --------------------------------------------------------------------------------------
database = next(one for one in api.connections.list() if one.name == "FabrikamAD")
people_file = ("people.json", b'[{"email": "py-imported@fabrikamcorp.com"}, {"email": "nobody"}]')
job = api.jobs.users_imports.create(users=people_file, connection_id=database.id)
export = api.jobs.users_exports.create(
    connection_id=database.id, format="csv", fields=[{"name": "email"}, {"name": "user_metadata.number"}], limit=3
)
worker()
found["import"] = [api.jobs.get(job.id).summary.inserted, len(api.jobs.errors.get(job.id))]
done = api.jobs.get(export.id)
with urlopen(done.location) as file:
    found["export"] = [done.status, gzip.decompress(file.read()).decode().splitlines()]
found["blocks"] = list(api.user_blocks.list(py0).blocked_for)
api.user_blocks.delete(py0)
found["verification"] = api.jobs.verification_email.create(user_id=py0).type
found["guesses"] = api.attack_protection.brute_force_protection.get().max_attempts > 0

# --- one person -----------------------------------------------------------------------------------------------------------
found["methods"] = [one.id for one in api.users.authentication_methods.list(py0)]
found["trail"] = [bool(list(api.users.logs.list(py0))), [one.name for one in api.users.groups.get(py0)]]
found["grants_of_person"] = [
    list(api.user_grants.list(user_id=py0)),
    list(api.device_credentials.list(user_id=py0)),
    list(api.users.organizations.list(py0)),
]

# --- texts and mails --------------------------------------------------------------------------------------------------------
mail = {"subject": "New password", "body": "{{ url }}", "syntax": "liquid", "enabled": True, "from_": ""}
api.email_templates.create(template="reset_email", **mail)
found["mail"] = api.email_templates.update("reset_email", subject="A new password").subject
api.prompts.custom_text.set("login", "en", request={"login": {"description": "Staff only"}})
found["text"] = api.prompts.custom_text.get("login", "en")
for provider in (api.emails.provider.get, lambda: api.emails.provider.create(name="smtp", credentials={})):
    try:
        provider()
    except ApiError as error:
        found.setdefault("mail_server", []).append([error.status_code, error.body["errorCode"]])

# --- keys of applications, and provisioning --------------------------------------------------------------------------------
key = ECKey.generate_key("P-256").as_pem(private=False).decode()
credential = api.clients.credentials.create(client.client_id, credential_type="public_key", pem=key)
found["credential"] = [one.id for one in api.clients.credentials.list(client.client_id)] == [credential.id]
methods = {"private_key_jwt": {"credentials": [{"id": credential.id}]}}
found["method"] = api.clients.update(client.client_id, client_authentication_methods=methods).token_endpoint_auth_method
okta = api.connections.create(name="python-scim", strategy="okta", options={"domain": "a.okta.com", "client_id": "x"})
api.connections.scim_configuration.create(okta.id)
token = api.connections.scim_configuration.tokens.create(okta.id)
found["scim"] = [one.token_id for one in api.connections.scim_configuration.tokens.get(okta.id)] == [token.token_id]
api.connections.scim_configuration.tokens.delete(okta.id, token.token_id)
api.connections.delete(okta.id)

# --- streams ----------------------------------------------------------------------------------------------------------------
sink = {"httpEndpoint": "https://siem.example/in", "httpAuthorization": "Bearer secret"}
log = api.log_streams.create(request={"type": "http", "name": "SIEM", "sink": sink})
found["log_stream"] = [api.log_streams.update(log.id, status="paused").status, len(api.log_streams.list())]
api.log_streams.delete(log.id)
configuration = {
    "webhook_endpoint": "https://hook.example/in",
    "webhook_authorization": {"method": "bearer", "token": "secret"},
}
stream = api.event_streams.create(
    request={
        "name": "Watcher",
        "subscriptions": [{"event_type": "user.deleted"}],
        "destination": {"type": "webhook", "configuration": configuration},
    }
)
found["event_streams"] = [one.id for one in api.event_streams.list(take=1)] == [stream.id]
found["event_stream"] = api.event_streams.update(stream.id, status="disabled").status
tested = api.event_streams.test(stream.id, event_type="user.deleted")
found["event_delivery"] = [
    [one.id for one in api.event_streams.deliveries.list(stream.id, take=1)] == [tested.id],
    api.event_streams.deliveries.get_history(stream.id, tested.id).status,
    api.event_streams.redeliveries.create(stream.id, statuses=["failed"]).statuses,
]
api.event_streams.delete(stream.id)
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
imported = api.users.list_users_by_email(email="py-imported@fabrikamcorp.com")
api.users.delete(imported[0].user_id)
json.dump(found, sys.stdout)
