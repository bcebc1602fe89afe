// The npm package auth0 as an operator's script uses it; what it found is printed as JSON.
const { ManagementClient } = require("auth0");

const api = new ManagementClient({
  domain: process.env.AUTH0_DOMAIN,
  clientId: process.env.AUTH0_CLIENT_ID,
  clientSecret: process.env.AUTH0_CLIENT_SECRET,
});

async function all(pages) {
  const rows = [];
  for await (const row of await pages) rows.push(row);
  return rows;
}

async function main() {
  const found = {};
  for (let number = 0; number < 3; number++) {
    await api.users.create({
      connection: "FabrikamAD", email: `js${number}@fabrikamcorp.com`, password: "a good long passphrase 7",
    });
  }
  const people = await all(api.users.list({ per_page: 2, include_totals: true }));
  found.people = people.map((user) => user.email).sort();
  const id = people.find((user) => user.email === "js0@fabrikamcorp.com").user_id;
  found.metadata = (await api.users.update(id, { user_metadata: { a: 1 } })).user_metadata;
  found.sessions = await all(api.users.sessions.list(id, { take: 1 }));
  found.tokens = await all(api.users.refreshToken.list(id, { take: 1 }));
  await api.users.sessions.delete(id);
  await api.sessions.delete("unknown");
  const client = await api.clients.create({ name: "Node shop", app_type: "regular_web", callbacks: ["https://n.example/cb"] });
  found.secret = Boolean(client.client_secret);
  found.clients = (await all(api.clients.list({ per_page: 1, include_totals: true }))).map((one) => one.name).sort();
  await api.clients.update(client.client_id, { logo_uri: null });
  await api.clients.delete(client.client_id);
  found.connections = (await all(api.connections.list({ take: 1 }))).map((one) => one.name);
  const role = await api.roles.create({ name: "Node" });
  await api.users.roles.assign(id, { roles: [role.id] });
  found.roles = (await all(api.users.roles.list(id))).map((one) => one.name);
  await api.roles.delete(role.id);
  found.tenant = (await api.tenants.settings.get()).friendly_name;
  found.logs = (await all(api.logs.list({ per_page: 100 }))).some((line) => line.type === "sapi");
  const database = (await all(api.connections.list())).find((one) => one.name === "FabrikamAD");
  const job = await api.jobs.usersExports.create({ connection_id: database.id, format: "json", limit: 1 });
  found.export = [job.type, (await api.jobs.get(job.id)).status];
  const sink = { httpEndpoint: "https://siem.example/in", httpContentFormat: "JSONLINES" };
  const log = await api.logStreams.create({ type: "http", name: "SIEM", sink });
  found.logStream = (await api.logStreams.update(log.id, { status: "paused" })).status;
  await api.logStreams.delete(log.id);
  const stream = await api.eventStreams.create({
    name: "Watcher",
    subscriptions: [{ event_type: "user.deleted" }],
    destination: {
      type: "webhook",
      configuration: {
        webhook_endpoint: "https://hook.example/in", webhook_authorization: { method: "bearer", token: "secret" },
      },
    },
  });
  found.eventStreams = (await all(api.eventStreams.list({ take: 1 }))).map((one) => one.name);
  await api.eventStreams.test(stream.id, { event_type: "user.deleted" });
  found.deliveries = (await all(api.eventStreams.deliveries.list(stream.id))).map((one) => one.status);
  await api.eventStreams.delete(stream.id);
  try {
    await api.users.get("auth0|nobody");
  } catch (error) {
    found.error = [error.statusCode, error.body.errorCode];
  }
  for (const user of people.filter((one) => one.email.startsWith("js"))) await api.users.delete(user.user_id);
  console.log(JSON.stringify(found));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
