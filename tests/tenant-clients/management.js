// Auth0's own Management SDK, npm's auth0, gets a token and reads users and connections.
import { ManagementClient } from "auth0";

const { TENANT, DOMAIN, CLIENT_ID, CLIENT_SECRET, PRIMARY, SECONDARY } = process.env;

// The SDK speaks to https://DOMAIN alone; the tenant has its canonical domain by name only.
const fetchAtTenant = (url, init) => fetch(String(url).replace(`https://${DOMAIN}`, TENANT), init);
const management = new ManagementClient({
  domain: DOMAIN, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, fetch: fetchAtTenant, maxRetries: 0,
});
const refusal = (promise) =>
  promise.then(() => "accepted", (error) => [error.statusCode, error.body?.errorCode ?? error.body?.error ?? error.message]);
const all = async (list) => {
  const found = [];
  for await (const item of await list) found.push(item);
  return found;
};

const user = await management.users.get(PRIMARY);
const users = await all(management.users.list());
const [byEmail] = await management.users.listUsersByEmail({ email: "bob@example.com" });
const connections = await all(management.connections.list({ take: 2 }));
const some = await all(management.connections.list({ strategy: ["google-oauth2", "bitbucket"], fields: "name" }));
const one = await management.connections.get(connections[0].id);

const [provider, account] = SECONDARY.split("|");
const linked = await management.users.identities.link(PRIMARY, { provider, user_id: account });
const again = await refusal(management.users.identities.link(PRIMARY, { provider, user_id: account }));
const unlinked = await management.users.identities.delete(PRIMARY, provider, account);
const blocked = await management.users.update(PRIMARY, { blocked: true });

const narrow = new ManagementClient({ domain: DOMAIN, token: process.env.NARROW_TOKEN, fetch: fetchAtTenant, maxRetries: 0 });
const impostor = new ManagementClient({
  domain: DOMAIN, clientId: CLIENT_ID, clientSecret: "wrong", fetch: fetchAtTenant, maxRetries: 0,
});

console.log(JSON.stringify({
  user: [user.user_id, user.identities.map((identity) => [identity.connection, identity.user_id, typeof identity.access_token])],
  users: users.map((user) => user.user_id),
  byEmail: byEmail.user_id,
  connections: connections.map((connection) => [connection.name, connection.strategy, connection.options.client_id]),
  some,
  one: one.name,
  linked: linked.length, again, unlinked: unlinked.length, blocked: blocked.blocked,
  unknown: await refusal(management.users.get("github|1")),
  narrow: await refusal(narrow.connections.list()),
  impostor: await refusal(impostor.users.get(PRIMARY)),
}));
